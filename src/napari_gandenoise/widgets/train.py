"""The Train panel: choose images and a recipe, start, watch, pause, stop, go on another day, keep the model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QInputDialog, QMessageBox, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.finetuning import lay_out
from napari_gandenoise.models import install_model, user_folder
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.models.device import device_line
from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.base import Settings, configure, setting
from napari_gandenoise.settings.cif import CIF_MODES, CifTrainConfig
from napari_gandenoise.settings.train import RECIPE_VALUES, AnyTrainConfig, DirectTrainConfig, TrainConfig
from napari_gandenoise.training import TrainPreview
from napari_gandenoise.widgets.fields.data import DataField
from napari_gandenoise.widgets.fields.paths import PathField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import plain
from napari_gandenoise.widgets.forms.memory import recall
from napari_gandenoise.widgets.forms.snippets import as_yaml, call, command_line
from napari_gandenoise.widgets.layout.rows import Folded, form_rows, note, refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.inspector import Answer, Inspector
from napari_gandenoise.widgets.running.run_folder import RunFolder, length_of, read_run
from napari_gandenoise.widgets.running.training_panel import TrainingPanel
from napari_gandenoise.widgets.running.training_process import TrainingProcess
from napari_gandenoise.widgets.viewer.samples_layer import SamplesLayer
from napari_gandenoise.widgets.viewer.training_layers import write_layers

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["TrainWidget"]

PANEL = "train"
RUNS = Path.home() / "napari-gandenoise"
HAVE = {"images": "Clean images", "cif": "A CIF"}
KINDS = {"latent": "Latent GAN", "direct": "Direct denoiser"}
USUAL_RECIPE = {"unet": "supervised", "encoder-decoder": "wgan-gp", "autoencoder": "autoencoder-gan"}
USUAL_SIZE = {"unet": 128, "encoder-decoder": 64, "autoencoder": 32}
HIDDEN = ("settings.name", "settings.output", "material.name", "material.output")  # the panel's own
DIRECT_BATCH = 16
STATUS_SECONDS = 0.2  # between two looks of the progress line: a run may send hundreds of events a second


class Training(Settings):
    """What this panel sets: a run of either kind, or one that is laid out for a material."""

    have: Literal["images", "cif"] = setting(
        "images", "What the model learns from.", title="What do you have?", choices=HAVE
    )
    kind: Literal["latent", "direct"] = setting(
        "latent",
        "A generator to search in, or a network that cleans an image in one pass.",
        title="Model",
        choices=KINDS,
        only={"have": ("images",)},
    )
    settings: TrainConfig | DirectTrainConfig = setting(
        ..., "Of that kind.", field="flat", by="kind", only={"have": ("images",)}
    )
    material: CifTrainConfig = setting(..., "Of a material.", field="flat", only={"have": ("cif",)})


class TrainWidget(QWidget):
    """Train a model, in a process of its own.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers may be trained on, and that may show the samples.
    process : TrainingProcess, optional
        What runs the training.
    """

    def __init__(self, napari_viewer: Viewer, process: TrainingProcess | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.name = plain(str, value="my-model", tooltip="Name of the model.")
        self.output = PathField("d", tooltip="Folder for checkpoints, history and the model.")
        self.form = SettingsForm(Training, {"data": partial(DataField, napari_viewer)}, hidden=HIDDEN)
        self.data: DataField = self.form.field("settings.data")
        self.device_note = note()
        self.form.add_below("settings.device", self.device_note)
        self.panel = TrainingPanel(napari_viewer.theme)
        self.settings = Folded("Settings", self.form)
        self.settings.expand()
        top = QWidget()
        rows = form_rows(top)
        rows.addRow("Name", self.name.native)
        rows.addRow("Output", self.output.native)
        self.form.beside = (rows,)
        scrolled(self, top, self.settings, self.panel)
        self._process = process or TrainingProcess()
        self._writer = Inspector(self)
        self._eta, self._shown_at = Eta(0.0), 0.0
        self._activity = Activity("Train")
        self._run: RunFolder | None = None
        self._unusable = ""
        self._started: tuple[AnyTrainConfig, bool] | None = None
        self._paused = False
        self._taken: dict[str, int] = {}
        self._samples: TrainPreview | None = None
        self._layer = SamplesLayer(napari_viewer)
        self._suggested: dict[str, Any] = {}
        self._quiet = False
        self._name = ""
        self._connect()
        self._suggest()
        self._restore()
        self._describe_device()
        self._on_output()

    def _connect(self) -> None:
        self.name.changed.connect(self._on_name)
        self.output.changed.connect(self._on_output)
        self.data.changed.connect(self._on_data)
        for name in ("kind", "settings.architecture.kind"):
            self.form[name].changed.connect(self._on_network)
        self.form["settings.recipe"].changed.connect(self._on_recipe)
        self.form["settings.device"].changed.connect(self._describe_device)
        self.form["have"].changed.connect(self._on_have)
        self.form.changed.connect(self._show_plan)
        self.panel.start_clicked.connect(self.start)
        self.panel.pause_clicked.connect(self.pause)
        self.panel.stop_clicked.connect(self.stop)
        self.panel.save_clicked.connect(self._on_save)
        self.panel.copy_clicked.connect(self._on_copy)
        self.panel.as_layer.toggled.connect(self._show_layer)
        self._writer.answered.connect(self._on_layers_written)
        self._process.progressed.connect(self._on_progressed)
        self._process.finished.connect(self._on_finished)
        self._process.failed.connect(self._on_failed)
        self._viewer.events.theme.connect(self._on_theme)
        # The child writes its checkpoint and ends, whether the panel is closed or all of napari.
        self.destroyed.connect(self._process.stop)

    @property
    def busy(self) -> bool:
        """Whether a run, or its preparation, is under way."""
        return self._process.running or self._writer.busy

    # The settings

    def _restore(self) -> None:
        memory = recall(PANEL)
        self._name = str(memory.own.get("name", "my-model"))
        self.name.value = self._name
        self.output.value = Path(memory.own.get("output", RUNS / self._name))
        if memory.settings:
            self._fill(memory.settings)

    def restore(self, config: AnyTrainConfig) -> None:
        """Show the settings of a run, but for its name and folder."""
        kind = "direct" if isinstance(config, DirectTrainConfig) else "latent"
        self._fill({"kind": kind, "settings": config})

    def _fill(self, values: Mapping[str, Any]) -> None:
        """Show settings: once for what they bring with them, and once more as they are."""
        values = {
            "have": "images",
            **values,
        }  # of fields that two kinds of runs have, that is what tells which is meant
        self.form.set_values(values)
        self._quiet = True
        self.form.set_values(values)
        self._quiet = False
        self._show_plan()

    def _on_name(self, name: str) -> None:
        follows = self.output.value == RUNS / self._name
        self._name = name.strip()
        if follows and self._name:
            self.output.value = RUNS / self._name
        else:
            self._show_plan()

    def _describe_device(self, _device: str = "") -> None:
        self.device_note.setText(device_line(self.form["settings.device"].value))

    def _on_have(self, have: str) -> None:
        self.device_note.setVisible(have == "images")

    # What goes together

    def is_direct(self) -> bool:
        """Whether a direct denoiser is to be trained."""
        return bool(self.form["kind"].value == "direct")

    def _suggest(self) -> None:
        """Fill in what suits the images and the network; what the user has set for others gives way."""
        self._suggested = self.data.suggestions()
        values = {**self._suggested, "batch": TrainConfig.model_fields["batch"].default}
        if self.is_direct():
            # Direct denoisers see images as they lie, in tiles that a pass takes.
            network = self.form["settings.architecture.kind"].value
            values |= {"tiles.pose": "upright", "architecture.size": USUAL_SIZE[network], "batch": DIRECT_BATCH}
            values["recipe.kind"] = USUAL_RECIPE[network]
        self.form.suggest({f"settings.{name}": value for name, value in values.items()})

    def _on_data(self) -> None:
        if not self._quiet and self.data.suggestions() != self._suggested:
            self._suggest()

    def _on_network(self, _network: str) -> None:
        if not self._quiet:
            self._suggest()

    def _on_recipe(self, recipe: str) -> None:
        """Set what recipes set, to the values of this one."""
        own = RECIPE_VALUES.get(recipe, {})
        touched = {name for values in RECIPE_VALUES.values() for name in values}
        values = {name: own.get(name, TrainConfig.model_fields[name].default) for name in touched}
        if not self._quiet:
            self.form.suggest({f"settings.{name}": value for name, value in values.items()})

    # The run in the folder

    def _on_output(self, _path: Any = None) -> None:
        """Look whether the folder holds a run; then show its past, and offer to go on with it."""
        folder = self.output.get_value()
        self.data.output = folder
        if self.busy:
            return
        before = self._run
        self._unusable = ""
        try:
            self._run = read_run(folder) if folder is not None else None
        except GanDenoiseError as error:
            self._run, self._unusable = None, str(error)
        if self._run is not None:
            self._show_past(self._run)
        elif before is not None:
            self._clear()
        self._show_plan()

    def _show_past(self, run: RunFolder) -> None:
        with self.name.changed.blocked():
            self.name.value = self._name = run.config.name
        self.restore(run.config)
        self.panel.plot.set_history(run.history)
        self.panel.show_curves(shown=bool(run.history))
        preview = run.preview()
        if preview is not None:
            self._show_samples(preview)

    def _clear(self) -> None:
        self.panel.plot.clear()
        self.panel.show_curves(shown=False)
        self.panel.grid.clear()
        self._samples = None

    def _show_plan(self, _value: Any = None) -> None:
        """Say what *Start* would do."""
        if self.busy:
            return
        run = self._run
        self.form.setEnabled(run is None)
        self.name.enabled = run is None
        self.panel.save.setEnabled(run is not None and run.model is not None)
        if run is not None:
            self.panel.show_idle(resumes=True, may_start=not run.finished)
            self.panel.show_plan(run.summary())
            return
        try:
            config = self._config()
        except GanDenoiseError as error:
            self.panel.show_idle(may_start=not self._unusable)
            self.panel.show_plan(str(error))
            return
        self.panel.show_idle()
        if isinstance(config, CifTrainConfig):
            names = ", ".join(path.name for path in config.cif)
            time = f"{config.minutes:g} minutes" if config.minutes else "90 minutes on a processor or 5 on a GPU"
            self.panel.show_plan(f"{time} on simulated {CIF_MODES[config.mode]} of {names}, then a comparison")
            return
        colours = "colour" if config.channels == 3 else "grey"
        network = (
            f"latent {config.architecture.latent}" if isinstance(config, TrainConfig) else config.architecture.kind
        )
        self.panel.show_plan(
            f"{length_of(config)} of {config.batch} {colours} tiles, {config.size}×{config.size} pixels, {network}"
        )

    def _config(self) -> AnyTrainConfig | CifTrainConfig:
        output = self.output.get_value()
        if output is None:
            raise GanDenoiseError("Choose a folder for the run.")
        if self._unusable:
            raise GanDenoiseError(self._unusable)
        return self.config(self.name.value.strip(), output)

    def config(self, name: str, output: Path) -> AnyTrainConfig | CifTrainConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If something is missing, or the settings do not go together.
        """
        if self.form["have"].value == "cif":
            return self._material(name, output)
        self.data.output = output
        if missing := self.data.refusal():
            raise GanDenoiseError(missing)
        values = self.form.values()["settings"]
        values["architecture"]["channels"] = self.data.channels()
        values |= {"name": name, "output": output}
        return configure(DirectTrainConfig, None, values) if self.is_direct() else configure(TrainConfig, None, values)

    def _material(self, name: str, output: Path) -> CifTrainConfig:
        values = self.form.values()["material"]
        if not values["cif"]:
            raise GanDenoiseError("Choose the CIF file of a material.")
        return configure(CifTrainConfig, None, {**values, "name": name, "output": output})

    # The run

    def start(self) -> None:
        """Start a run, or go on with the one in the output folder; nothing happens while one is under way."""
        if self.busy:
            return
        self._on_output()
        run = self._run
        try:
            asked = run.config if run is not None else self._config()
            config = lay_out(asked) if isinstance(asked, CifTrainConfig) else asked
            layers = self.data.layers.layers()
            from_layers = run is None and asked is config and self.data.kind.currentData() == "layers"
        except GanDenoiseError as error:
            show_error(str(error))
            return
        self.form.remember(PANEL, name=config.name, output=str(config.output))
        self._started = config, run is not None
        self._paused = False
        if run is None:
            self._clear()
        self._eta = Eta(0.0)
        self._taken = {}
        self.form.setEnabled(False)
        self.name.enabled = self.output.enabled = False
        self.settings.collapse()
        self.panel.show_plan(f"{config.name}: {length_of(config)}")
        self.panel.show_running()
        self._writer.ask(partial(write_layers, layers, config.output / "layers") if from_layers else lambda: None)

    def _on_layers_written(self, answer: Answer) -> None:
        if self._started is None:
            return
        if answer.refusal:
            self._on_failed(answer.refusal)
            return
        config, resume = self._started
        self._process.start(config, resume=resume)

    def pause(self) -> None:
        """Let the run wait, or go on if it does."""
        if not self._process.running or self._process.stopping:
            return
        self._paused = not self._paused
        if self._paused:
            self._process.pause()
        else:
            self._process.resume()
            self._eta = Eta(0.0)
        self.panel.show_paused(paused=self._paused)

    def stop(self) -> None:
        """Stop the run; it writes a checkpoint first, from which it can go on."""
        self._writer.forget()
        if self._process.running:
            self.panel.show_stopping()
            self._process.stop()
        elif self._started is not None:
            self._end("Stopped before the first step.")

    def _on_progressed(self, event: Progress) -> None:
        if self._started is None:
            return
        config = self._started[0]
        if event.note:
            self.panel.show_alarm(event.note)
            show_warning(event.note)
        if event.preview is not None:
            self._show_samples(event.preview)
            self.panel.save.setEnabled(self._model() is not None)
        if event.values and event.stage in config.stages:
            self.panel.plot.add(self._before(event, config) + event.done, event.values)
            self.panel.show_curves(shown=True)
        words = self._eta.describe(event)
        now = time.monotonic()
        too_soon = now - self._shown_at < STATUS_SECONDS and event.done < event.total
        if self._paused or self._process.stopping or too_soon:
            return
        self._shown_at = now
        pace = event.values.get("steps per second")
        self.panel.show_progress(event, words + (f" · {pace:.3g} steps/s" if pace else ""))
        self._activity.show(event)

    def _before(self, event: Progress, config: AnyTrainConfig) -> int:
        """Count the steps of the stages before an event's; of a run by time no more is known than what was seen."""
        self._taken[event.stage] = event.done
        names = list(config.stages)
        timed = isinstance(config, DirectTrainConfig) and config.seconds is not None
        taken = self._taken if timed else {}
        return sum(taken.get(name, config.stages[name]) for name in names[: names.index(event.stage)])

    def _on_finished(self, stopped: bool) -> None:
        self._end("Stopped; Resume goes on from here." if stopped else "Finished. Save it under a name to use it.")

    def _on_failed(self, sentence: str) -> None:
        self._end("")
        show_error(sentence)

    def _end(self, message: str) -> None:
        """Settle a run: whatever it has left in its folder is what is shown."""
        self._activity.close()
        self._started = None
        self.output.enabled = True
        self._on_output()
        run = self._run
        self.panel.show_idle(message, resumes=run is not None, may_start=run is None or not run.finished)

    # The samples

    def _show_samples(self, preview: TrainPreview) -> None:
        self._samples = preview
        self.panel.grid.show_preview(preview)
        self._show_layer(self.panel.as_layer.isChecked())

    def _show_layer(self, wanted: bool) -> None:
        if not wanted or self._samples is None:
            return
        config = self._started[0] if self._started else self._run.config if self._run else None
        if not self._layer.show(self._samples, self.name.value, config):
            self.panel.as_layer.setChecked(False)

    # The model, and the settings elsewhere

    def _on_save(self) -> None:
        name, accepted = QInputDialog.getText(self, "Save the model", "Name", text=self.name.value)
        if not accepted:
            return
        taken = (user_folder() / f"{name.strip()}{SUFFIX}").exists()
        question = f"You have a model called {name.strip()} already. Replace it?"
        if taken and QMessageBox.question(self, "Save the model", question) != QMessageBox.StandardButton.Yes:
            return
        self.save_as(name.strip(), overwrite=taken)

    def save_as(self, name: str, *, overwrite: bool = False) -> None:
        """Keep the run's model under a name, by which every panel, command and script finds it.

        Parameters
        ----------
        name : str
            The name.
        overwrite : bool
            Replace the user's model of that name.
        """
        model = self._model()
        if model is None:
            show_error("There is no model to save yet: train until the first checkpoint.")
            return
        with refusals_shown():
            install_model(model, name, overwrite=overwrite)
            show_info(f"Saved as {name}: choose it in the Denoise panel.")

    def _model(self) -> Path | None:
        """Return the model file of the run under way, or of the one in the folder, if there is one yet."""
        if self._started is not None:
            return RunFolder(self._started[0], 0).model
        return self._run.model if self._run is not None else None

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            config = self._run.config if self._run is not None else self._config()
            resume = self._run is not None
            of_cif = isinstance(config, CifTrainConfig)
            if kind == "python":
                made = "config = " + call(f"gd.{type(config).__name__}", (), config)
                train = "train_cif_steps" if of_cif else "train_steps"
                lines = ["import napari_gandenoise as gd", "", made, f"model = gd.drain(gd.{train}(config))", ""]
                text = "\n".join(lines)
            elif kind == "yaml":
                text = as_yaml(config)
            elif isinstance(config, CifTrainConfig):
                text = command_line(["train"], config)
            else:
                given = [str(config.output / "config.yaml"), "--resume"] if resume else [f"{config.name}.yaml"]
                text = shlex.join(["napari-gandenoise", "train", *given])
            reads_file = kind == "command" and not resume and not of_cif
            reads = f" It reads {config.name}.yaml: save the YAML there." if reads_file else ""
            to_clipboard(text, kind, reads)

    def _on_theme(self, _event: Any = None) -> None:
        self.panel.plot.set_theme(self._viewer.theme)
