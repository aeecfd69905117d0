"""Where training images come from: the kind of source, and the few fields of that kind."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from platformdirs import user_cache_path
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.data import AnyData, FolderData, LiveData, PublicData, SimulatedData
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate import missing_extra
from napari_gandenoise.widgets._path_field import FolderField
from napari_gandenoise.widgets._simulation_form import Remembered as Simulation
from napari_gandenoise.widgets._simulation_form import describe
from napari_gandenoise.widgets.fields.numbers import NumberBox
from napari_gandenoise.widgets.forms.memory import news, recall
from napari_gandenoise.widgets.layout.rows import combo, form_rows, note
from napari_gandenoise.widgets.viewer.training_layers import LayersField, layers_data

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["DataField", "waves_path"]

PUBLIC = {
    "mnist": "MNIST (digits)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "celeba": "CelebA (faces)",
    "lfw": "LFW (faces)",
    "coco": "COCO (photographs)",
}
KINDS = {
    "simulate": "Live simulation",
    "simulated": "Simulated set on disk",
    "layers": "Image layers",
    "folder": "Folder of images",
    **{kind: PUBLIC.get(kind, kind) for kind in get_args(PublicData.model_fields["kind"].annotation)},
}
MODEL_NM = 0.0244  # of the bundled model: a tile of 64 pixels is 1.6 nm wide
SMALL = ("mnist", "cifar10", "cifar100")


def waves_path(config: SimulationConfig) -> Path:
    """Where the exit waves of a simulation are kept: one place for each set of structures, whatever the imaging."""
    structures = config.model_dump_json(exclude={"images_per_structure", "imaging"})
    digest = hashlib.sha256(f"{structures}{config.imaging.energy_kev}".encode()).hexdigest()[:12]
    return user_cache_path("napari-gandenoise", appauthor=False) / "waves" / f"{digest}.zarr"


class DataField(QWidget):
    """Choose a source of training images.

    Attributes
    ----------
    kind : QComboBox
        The kind of source, to be placed in a form; the fields of the chosen kind are this widget.

    Signals
    -------
    changed
        The source is another one, or a field of it has another value.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = combo(KINDS)
        self.live = note()
        self.set = FolderField("Folder of a simulated set (.zarr)")
        self.layers = LayersField(viewer)
        self.folder = FolderField("Folder of images")
        self.colour = QCheckBox("Colour")
        self.colour.setToolTip(FolderData.model_fields["colour"].description or "")
        self.pixel_size = NumberBox(0.0, 1e6, "pm")
        self.pixel_size.setSpecialValueText("none (photographs)")
        self.pixel_size.setToolTip(FolderData.model_fields["pixel_size_nm"].description or "")
        self.files = FolderField("Folder of the original files")
        self.download = QCheckBox("Download what is missing")
        self.download.setToolTip(PublicData.model_fields["download"].description or "")
        self._pages: dict[str, QWidget] = {}
        self.labels: list[Any] = []
        self._lay_out()
        self.kind.setCurrentIndex(self.kind.findData("layers" if missing_extra() else "simulate"))
        self._connect()
        self._show_page()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        pages: dict[str, list[tuple[str, QWidget]]] = {
            "simulate": [],
            "simulated": [("Set", self.set)],
            "layers": [("Layers", self.layers)],
            "folder": [("Folder", self.folder), ("Pixel size", self.pixel_size), ("", self.colour)],
            "public": [("Files", self.files), ("", self.download)],
        }
        for name, fields in pages.items():
            page = QWidget()
            rows = form_rows(page)
            for title, field in fields:
                rows.addRow(title, field)
            if name == "simulate":
                rows.addRow(self.live)
            self.labels.append(rows)
            self._pages[name] = page
            column.addWidget(page)

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._on_kind)
        for field in (self.set, self.layers, self.folder, self.files):
            field.changed.connect(self._on_changed)
        for box in (self.colour, self.download):
            box.toggled.connect(self._on_changed)
        self.pixel_size.valueChanged.connect(self._on_changed)
        news.remembered.connect(self._on_news)

    def value(self, output: Path) -> AnyData:
        """Return the source.

        Parameters
        ----------
        output : pathlib.Path
            The run's folder; layers are written below it.

        Raises
        ------
        GanDenoiseError
            If something is not chosen yet.
        """
        match self.kind.currentData():
            case "simulate":
                if missing := missing_extra():
                    raise GanDenoiseError(missing)
                config = self.simulation()
                return LiveData(simulation=config, waves=waves_path(config))
            case "simulated":
                return SimulatedData(path=_chosen(self.set, "the folder of a simulated set"))
            case "layers":
                return layers_data(self.layers.layers(), output / "layers")[0]
            case "folder":
                size = self.pixel_size.value() / 1000 or None
                path = _chosen(self.folder, "the folder of images")
                return FolderData(path=path, colour=self.colour.isChecked(), pixel_size_nm=size)
            case kind:
                path = _chosen(self.files, "a folder for the files of the data set")
                return PublicData(kind=kind, path=path, download=self.download.isChecked())

    def simulation(self) -> SimulationConfig:
        """Return what is simulated: the settings of the Simulate panel."""
        return recall("simulate", Simulation).config

    def channels(self) -> int:
        """Return the channels of the images."""
        match self.kind.currentData():
            case "simulate" | "simulated" | "mnist":
                return 1
            case "layers":
                layers = self.layers.layers()
                return 3 if layers and all(layer.rgb for layer in layers) else 1
            case "folder":
                return 3 if self.colour.isChecked() else 1
            case _:
                return 3

    def suggestions(self) -> dict[str, dict[str, Any]]:
        """Return what suits this kind of image, by the part of the config: tiles, architecture, run."""
        kind = self.kind.currentData()
        tiles: dict[str, Any] = {"pose": "oriented", "intensity": "template", "flips": True, "near_empty": 0.05}
        if self._photographs():
            tiles = {"pose": "upright", "intensity": "absolute", "flips": kind != "mnist", "near_empty": 1.0}
        run: dict[str, Any] = {"held_out": 40, "pixel_size_nm": None}
        if kind == "simulate":
            run["pixel_size_nm"] = _model_size(self.simulation().pixel_size_nm)
        if kind == "layers":
            size, images = self._layers()
            run = {"held_out": min(40, max(1, images // 5)), "pixel_size_nm": _model_size(size)}
        return {"tiles": tiles, "architecture": {"size": 32 if kind in SMALL else 64}, "run": run}

    def restore(self, data: AnyData, output: Path) -> None:
        """Show a source as it was in an earlier session or run."""
        kind: str = data.kind
        match data:
            case SimulatedData():
                self.set.set_value(data.path)
            case FolderData() if data.path == output / "layers":
                kind = "layers"
            case FolderData():
                self.folder.set_value(data.path)
                self.colour.setChecked(data.colour)
                self.pixel_size.setValue((data.pixel_size_nm or 0.0) * 1000)
            case PublicData():
                self.files.set_value(data.path)
                self.download.setChecked(data.download)
            case LiveData():
                pass
        self.kind.setCurrentIndex(self.kind.findData(kind))

    def _photographs(self) -> bool:
        """Whether the images have no pixel size, or colours."""
        match self.kind.currentData():
            case "simulate" | "simulated":
                return False
            case "folder":
                return self.colour.isChecked() or self.pixel_size.value() == 0
            case "layers":
                return self.channels() == 3 or (bool(self.layers.layers()) and self._layers()[0] is None)
            case _:
                return True

    def _layers(self) -> tuple[float | None, int]:
        """Return pixel size and number of the layers' images."""
        try:
            data, images = layers_data(self.layers.layers(), Path())
        except GanDenoiseError:
            return None, 1
        return data.pixel_size_nm, images

    def _show_page(self) -> None:
        kind = self.kind.currentData()
        chosen = kind if kind in self._pages else "public"
        for name, page in self._pages.items():
            page.setVisible(name == chosen)
        self._describe_live()

    def _describe_live(self) -> None:
        missing = missing_extra()
        line = f"{describe(self.simulation())}. The Simulate panel sets this."
        self.live.setText(missing or line)
        latest = recall("simulate", Simulation).latest_set
        if latest and self.set.value() is None:
            self.set.set_value(latest)

    def _on_news(self, panel: str) -> None:
        if panel == "simulate":
            self._describe_live()
            self._on_changed()

    def _on_kind(self, _index: int) -> None:
        self._show_page()
        self._on_changed()

    def _on_changed(self, _value: Any = None) -> None:
        self.changed.emit()


def _model_size(size: float | None) -> float | None:
    """Pixel size of the model, nm: coarser than oversampled images, of which a tile would hold a few atoms only."""
    return MODEL_NM if size is not None and size < MODEL_NM else None


def _chosen(field: FolderField, what: str) -> Path:
    path = field.value()
    if path is None:
        raise GanDenoiseError(f"Choose {what}.")
    return path
