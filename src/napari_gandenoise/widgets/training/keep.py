"""The finished model: what its card says, a name for it, and the way to the Denoise panel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QInputDialog, QMessageBox, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import install_model, user_folder
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.settings.data import PUBLIC, FolderData, LiveData, ModesData, PublicData, SimulatedData
from napari_gandenoise.settings.simulate import MODES
from napari_gandenoise.settings.train import DIRECT_RECIPES, NETWORKS, AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.widgets.fields.data import describe
from napari_gandenoise.widgets.workbench import open_panel

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Keeper", "described"]

SEVERAL = 4  # layers that a card names


def described(config: AnyTrainConfig, layers: Sequence[str] = ()) -> AnyTrainConfig:
    """Fill in what the model's card is to say, unless the user has; what stands before the colon is its domain.

    Parameters
    ----------
    config : TrainConfig or DirectTrainConfig
        The run.
    layers : sequence of str
        Names of the layers that it is trained on, if it is.
    """
    if config.description:
        return config
    kind = "latent GAN"
    if isinstance(config, DirectTrainConfig):
        kind = f"{NETWORKS[config.architecture.kind]} ({DIRECT_RECIPES[config.recipe.kind].lower()}), one pass"
    domain, source = _source(config, layers)
    return config.model_copy(update={"description": f"{domain}: {source}; {kind}."[:2000]})


def _source(config: AnyTrainConfig, layers: Sequence[str]) -> tuple[str, str]:
    """Return the kind of images that a model is for, and what it has learnt them from."""
    match config.data:
        case LiveData(simulation=simulation):
            return f"Simulated {MODES[simulation.mode]}", describe(simulation)
        case ModesData() as data:
            shares = {"scenes": data.scenes, "HRTEM": data.hrtem, "HAADF-STEM": data.haadf}
            made = ", ".join(name for name, share in shares.items() if share)
            return "Photographs" if data.colour else "Any micrograph", f"{made}, made while it was trained"
        case SimulatedData(path=path):
            return "Simulated micrographs", f"the set {path.stem}"
        case FolderData() as data:
            named = ", ".join(layers[:SEVERAL]) + (f" and {len(layers) - SEVERAL} more" if layers[SEVERAL:] else "")
            domain = "Photographs" if data.colour or data.pixel_size_nm is None else "Micrographs"
            return domain, f"like {named}" if layers else f"like those in {data.path.name}"
        case PublicData(kind=kind):
            return "Photographs", PUBLIC[kind]


class Keeper:
    """Keep the model of a run under a name, and hand it to the Denoise panel.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose Denoise panel is opened.
    panel : QWidget
        What asks the user.
    model : callable
        Returns the model file, if there is one yet.
    """

    def __init__(self, viewer: ViewerModel, panel: QWidget, model: Callable[[], Path | None]) -> None:
        self._viewer, self._panel, self._model = viewer, panel, model

    def ask(self, suggested: str) -> None:
        """Ask for a name, and keep the model under it."""
        name, accepted = QInputDialog.getText(self._panel, "Save the model", "Name", text=suggested)
        if accepted:
            self.save(name.strip(), overwrite=_taken(name.strip()) and self._may_replace(name.strip()))

    def save(self, name: str, *, overwrite: bool = False) -> bool:
        """Keep the run's model under a name, by which every panel, command and script finds it.

        Parameters
        ----------
        name : str
            The name.
        overwrite : bool
            Replace the user's model of that name.

        Returns
        -------
        bool
            Whether it is kept.
        """
        model = self._model()
        if model is None:
            show_error("There is no model to save yet: train until the first checkpoint.")
            return False
        try:
            install_model(model, name, overwrite=overwrite)
        except GanDenoiseError as error:
            show_error(str(error))
            return False
        show_info(f"Saved as {name}: choose it in the Denoise panel.")
        return True

    def use(self, name: str) -> None:
        """Keep the model under the run's name, and choose it in the Denoise panel."""
        model = self._model()
        if model is None:
            show_error("There is no model to use yet: train until the first checkpoint.")
            return
        same = _taken(name) and _digest(user_folder() / f"{name}{SUFFIX}") == _digest(model)
        replaces = not same and _taken(name) and self._may_replace(name)
        kept = same or ((replaces or not _taken(name)) and self.save(name, overwrite=replaces))
        # A model that was not kept is used where it lies.
        self.choose(name if kept else str(model))

    def choose(self, model: str) -> None:
        """Open the Denoise panel and choose a model there."""
        if not hasattr(self._viewer, "window"):
            show_info(f"Choose {model} in the Denoise panel.")
            return

        def choose(denoise: Any) -> None:
            denoise.form["model"].value = model

        open_panel(self._viewer, "Denoise", choose)

    def _may_replace(self, name: str) -> bool:
        question = f"You have a model called {name} already. Replace it?"
        answer = QMessageBox.question(self._panel, "Save the model", question)
        return bool(answer == QMessageBox.StandardButton.Yes)


def _taken(name: str) -> bool:
    return (user_folder() / f"{name}{SUFFIX}").exists()


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
