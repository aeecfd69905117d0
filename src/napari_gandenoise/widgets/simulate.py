"""The Simulate panel: micrographs of any mode with their truth, and sets to train on."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.base import LARGEST_SEED
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate import SimulatedMicrograph, missing_extra, simulate_micrograph_steps, simulate_steps
from napari_gandenoise.simulate.generate import set_identity
from napari_gandenoise.simulate.micrograph import default_dose
from napari_gandenoise.widgets.fields.base import FieldWidget
from napari_gandenoise.widgets.fields.numbers import NumberField
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.make import plain
from napari_gandenoise.widgets.forms.snippets import ADD_ALL, as_yaml, call, console
from napari_gandenoise.widgets.layout.rows import refusals_shown, to_clipboard
from napari_gandenoise.widgets.layout.scroll import scrolled
from napari_gandenoise.widgets.plots.simulation_preview import SimulationPreview, display_limits
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SimulateWidget"]

PANEL = "simulate"
SEVERAL = 4  # materials that the name of a set names
KEPT = "Draw the same structure again at each press; else each press draws that of the next seed."
SMALL = "Show a middle piece of the micrograph that these settings and this seed make."
DOSED = "Electrons per pixel in vacuum, or of a scanning beam, of a micrograph; a training set holds clean images."


class SimulateWidget(QWidget):
    """Simulate micrographs into a viewer, and training sets onto the disk.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that gets the micrographs.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        # The dose in front is that of any detector.
        self.form = SettingsForm(SimulationConfig, hidden=("acquisition.dose",))
        self.dose = NumberField(0.001, 1e6, "e⁻/pixel")
        self._usual_dose = default_dose(SimulationConfig())
        self.dose.set_value(self._usual_dose)
        self.form.add("dose", FieldWidget(self.dose, tooltip=DOSED), "Dose", after="shape")
        self.form.add("keep_seed", plain(bool, text="Keep this seed", tooltip=KEPT), after="seed")
        self.form.add("preview", plain(bool, text="Preview", value=True, tooltip=SMALL), first=True)
        self.preview = SimulationPreview()
        self.panel = RunPanel("Make micrograph", "Make training set…")
        self.panel.run.setToolTip("Simulate a micrograph of these settings, and add it with its truth to the viewer.")
        self.panel.other.setToolTip("Write clean images of these settings into a folder, to train on.")
        self.panel.cancel.setToolTip("Stop; a training set keeps its finished images.")
        self._drawn: set[int] = set()  # seeds that were pressed for
        scrolled(self, self.preview, self.form, pinned=self.panel)
        self._runner = Runner(self)
        self._eta = Eta(0.0)
        self._activity = Activity("Simulate")
        self._latest_set = str(self.form.recall(PANEL).get("latest_set", ""))
        self._connect()
        config = self._possible()
        if config is not None:
            self._usual_dose = default_dose(config)
            self._show_plan(config)
            self.preview.follow(config, self.form["dose"].value)
        self.preview.setVisible(self.form["preview"].value)

    def _connect(self) -> None:
        self.form.changed.connect(self._on_changed)
        self.panel.run_clicked.connect(self.make_micrograph)
        self.panel.other_clicked.connect(self._on_set_wanted)
        self.panel.cancel_clicked.connect(self.cancel)
        self.panel.copy_clicked.connect(self._on_copy)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self.panel.show_stopped)
        self._runner.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether anything goes on in the background."""
        return self._runner.running or self.preview.busy

    def _on_changed(self) -> None:
        config = self._possible()
        self.preview.setVisible(self.form["preview"].value)
        if config is None or not self.form["preview"].value:
            self.preview.forget()
        if config is None:
            return
        self._follow_dose(config)
        if self.form["preview"].value:
            self.preview.follow(config, self.form["dose"].value)
        if self._show_plan(config):
            self._remember()

    def _possible(self) -> SimulationConfig | None:
        """Return the settings; where they do not go together, say why."""
        try:
            config: SimulationConfig = self.form.config()
        except GanDenoiseError as error:
            self.panel.show_plan(str(error), possible=False)
            return None
        return config

    def _follow_dose(self, config: SimulationConfig) -> None:
        """Give another mode its own usual dose, unless somebody chose one."""
        before, self._usual_dose = self._usual_dose, default_dose(config)
        if before != self._usual_dose and self.form["dose"].value == before:
            self.form["dose"].value = self._usual_dose

    def _show_plan(self, config: SimulationConfig) -> bool:
        """Say what would be simulated, or what is missing for it; True if nothing is."""
        missing = missing_extra(config)
        self.panel.show_plan(missing or self._sentence(config), possible=not missing)
        if not self._runner.running:
            self.panel.show_stopping("") if missing else self.panel.show_stopped()
        return not missing

    def _sentence(self, config: SimulationConfig) -> str:
        """Say what a micrograph of these settings is: its field of view and its dose by area."""
        per_area = self.form["dose"].value / (10 * config.pixel_size_nm) ** 2
        field = config.shape * config.pixel_size_nm
        return (
            f"{config.shape}×{config.shape} pixels, {field:.3g} nm wide, {per_area:.3g} e⁻/Å². A training set: "
            f"{config.structures * config.images_per_structure:,} clean images of {config.structures} structures."
        )

    def _remember(self) -> None:
        self.form.remember(PANEL, latest_set=self._latest_set)

    # The runs

    def make_micrograph(self) -> None:
        """Simulate a micrograph in the background, and add it with its truth to the viewer.

        Its seed is the one that the form shows; if that has been drawn already and is not to be kept, the next.
        """
        config = self._config()
        if config is not None:
            if config.seed in self._drawn and not self.form["keep_seed"].value:
                self.form["seed"].value = (config.seed + 1) % (LARGEST_SEED + 1)
                config = self.form.config()
            self._drawn.add(config.seed)
            self._start(_micrograph_steps(config, self.form["dose"].value))

    def make_set(self, folder: Path) -> None:
        """Write a training set into a folder, in the background; one of the same settings is continued.

        Parameters
        ----------
        folder : pathlib.Path
            Where the set's Zarr group is written.
        """
        config = self._config()
        if config is not None:
            self._start(_set_steps(config, folder / set_name(config)))

    def _on_set_wanted(self) -> None:
        start = str(Path(self._latest_set).parent) if self._latest_set else ""
        folder = QFileDialog.getExistingDirectory(self, "Folder for the training set", start)
        if folder:
            self.make_set(Path(folder))

    def _config(self) -> SimulationConfig | None:
        try:
            return None if self._runner.running else self.form.config()
        except GanDenoiseError as error:
            show_error(str(error))
            return None

    def _start(self, steps: Steps[Any]) -> None:
        self._eta = Eta(0.0)
        self.panel.show_running()
        self._runner.start(steps)

    def cancel(self) -> None:
        """Stop the run: at once for the user, at its next event for the computation."""
        if not self._runner.running or self._runner.stopping:
            return
        self._runner.cancel()
        self._activity.close()
        self.panel.show_stopping("Cancelled. A training set keeps its finished images: make it again to go on.")

    def _on_progressed(self, event: Progress) -> None:
        several = event.total > 1
        self.panel.show_progress(event, self._eta.describe(event) if several else f"{event.stage}…")
        if not several:
            self.panel.bar.setRange(0, 0)
        self._activity.show(event)

    def _on_finished(self, result: Any) -> None:
        self._activity.close()
        if isinstance(result, SimulatedMicrograph):
            self._add(result)
            return
        self._latest_set = str(result)
        self._remember()
        self.panel.show_idle(f"The set is in {result}. The Train panel offers it as Simulated set.")

    def _add(self, made: SimulatedMicrograph) -> None:
        for data, options, kind in made.to_layers():
            if options["visible"]:
                options["contrast_limits"] = display_limits(made)
            layer = self._viewer.add_layer(Layer.create(data, options, kind))
        self._viewer.layers.selection.active = layer
        self._look_at(layer)
        drawn, told = made.report["conditions"], made.counts.name.partition(" · ")[0]
        if drawn:
            told = (
                f"{made.report['formula']}, {made.report['contrast']} atom columns, "
                f"defocus {drawn['defocus_nm']:.1f} nm, Cs {drawn['cs_um']:.1f} µm"
            )
        kept = "Untick Keep this seed for" if self.form["keep_seed"].value else "Press again for"
        self.panel.show_idle(f"Seed {made.report['simulation']['seed']}: {told}. {kept} another one.")

    def _look_at(self, layer: Layer) -> None:
        """Fill the canvas with a layer, whatever else there is and wherever the camera was."""
        self._viewer.fit_to_view(layers=[layer])

    def _on_failed(self, sentence: str) -> None:
        self._activity.close()
        self.panel.show_idle()
        show_error(sentence)

    # The settings elsewhere

    def _on_copy(self, kind: str) -> None:
        with refusals_shown():
            config = self.form.config()
            if kind == "python":
                made = f"result = gd.simulate_micrograph(config, dose={self.form['dose'].value!r})"
                text = console("", "config = " + call("gd.SimulationConfig", (), config), made, *ADD_ALL)
            elif kind == "command":
                text = shlex.join(["napari-gandenoise", "simulate", "simulation.yaml", set_name(config)])
            else:
                text = as_yaml(config)
            to_clipboard(text, kind, " It reads simulation.yaml: save the YAML there." if kind == "command" else "")


# A device is chosen in the background: until then a panel has only its form to show.


def _micrograph_steps(config: SimulationConfig, dose: float) -> Steps[SimulatedMicrograph]:
    from napari_gandenoise.models.device import choose_device

    return (yield from simulate_micrograph_steps(config, dose, device=choose_device(config.device)))


def _set_steps(config: SimulationConfig, output: Path) -> Steps[Path]:
    from napari_gandenoise.models.device import choose_device

    return (yield from simulate_steps(config, output, choose_device(config.device)))


def set_name(config: SimulationConfig) -> str:
    """Name a set by its settings, so that the same ones find it again: ``Pt-Au-Pd-seed0-3f2a91c4.zarr``."""
    names = config.structure.names
    made_of = "-".join(names[:SEVERAL]).replace(" ", "-") + ("-etc" if len(names) > SEVERAL else "")
    digest = hashlib.sha256(json.dumps(set_identity(config)).encode()).hexdigest()[:8]
    return f"{made_of}-seed{config.seed}-{digest}.zarr"
