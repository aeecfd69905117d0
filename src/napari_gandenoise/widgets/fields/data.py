"""Where training images come from: the kind of source, and the few fields of that kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path
from pydantic import TypeAdapter, ValidationError
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QLabel, QListView, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.data import AnyData, FolderData, LiveData, ModesData, PublicData, SimulatedData
from napari_gandenoise.settings.simulate import MODES, ScenesConfig, SimulationConfig
from napari_gandenoise.settings.train import IMAGES
from napari_gandenoise.simulate import missing_extra
from napari_gandenoise.simulate.generate import wave_identity
from napari_gandenoise.widgets.fields.base import Field
from napari_gandenoise.widgets.fields.numbers import NumberBox
from napari_gandenoise.widgets.fields.paths import PathField
from napari_gandenoise.widgets.forms.memory import news, recall
from napari_gandenoise.widgets.layout.rows import combo, form_rows, in_row, note
from napari_gandenoise.widgets.training.layers import LayersField, layers_data

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["DataField", "describe", "waves_path"]

IN_VIEWER = {"layers": "Image layers"}
KINDS = {"simulate": "", "simulated": "", **IN_VIEWER, **IMAGES}
MODEL_NM = 0.0244  # of the bundled model: a tile of 64 pixels is 1.6 nm wide
MADE = "Scenes without a lattice, and HRTEM and HAADF of crystals where ASE is installed, made while training runs."
SEVERAL = 4  # materials or scenes that a line names
SMALL = ("mnist", "cifar10", "cifar100")
SIMULATE = "simulate"


def describe(config: SimulationConfig) -> str:
    """Put what is simulated into a line: ``Pt, Au, Pd · 2 to 5 nm · 18.3 pm/pixel · 100 structures``."""
    names = config.structure.names
    told = [", ".join(names[:SEVERAL]) + (" and more" if len(names) > SEVERAL else "")]
    if config.mode != "hrtem":
        told.append(MODES[config.mode])
    if not isinstance(config.structure, ScenesConfig):
        low, high = config.structure.extent_nm
        told.append(f"{low:g} to {high:g} nm" if low < high else f"{low:g} nm")
    kind = "scenes" if isinstance(config.structure, ScenesConfig) else "structures"
    return " · ".join([*told, f"{config.pixel_size_nm * 1000:.3g} pm/pixel", f"{config.structures} {kind}"])


def waves_path(config: SimulationConfig) -> Path:
    """Where the exit waves of a simulation are kept: one place for each set of structures, whatever the imaging."""
    digest = hashlib.sha256(json.dumps(wave_identity(config)).encode()).hexdigest()[:12]
    return user_cache_path("napari-gandenoise", appauthor=False) / "waves" / f"{digest}.zarr"


class DataField(Field):
    """Choose a source of training images; below it are the fields of the chosen kind.

    Attributes
    ----------
    output : Path or None
        The run's folder; layers are written below it.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.output: Path | None = None
        self.kind = combo(KINDS)
        self.setLayout(in_row(self.kind))
        self.live = note()
        self.set, self.folder, self.files = PathField("d"), PathField("d"), PathField("d")
        self.layers = LayersField(viewer)
        self.colour = QCheckBox("Colour")
        self.colour.setToolTip(FolderData.model_fields["colour"].description or "")
        self.pixel_size = NumberBox(0.0, 1e6, "pm")
        self.pixel_size.setSpecialValueText("none (photographs)")
        self.pixel_size.setToolTip(FolderData.model_fields["pixel_size_nm"].description or "")
        self.download = QCheckBox("Download what is missing")
        self.download.setToolTip(PublicData.model_fields["download"].description or "")
        self._pages: dict[str, QWidget] = {
            "simulate": self._page(("", self.live)),
            "simulated": self._page(("Set", self.set.native)),
            "modes": self._page(("", note(MADE))),
            "layers": self._page(("Layers", self.layers)),
            "folder": self._page(("Folder", self.folder.native), ("Pixel size", self.pixel_size), ("", self.colour)),
            "public": self._page(("Files", self.files.native), ("", self.download)),
        }
        self.below = tuple(self._pages.values())
        self.choose("modes" if missing_extra() else "simulate")
        self._connect()
        self._describe_live()
        self.show_below()

    def offer(self, kinds: Collection[str]) -> None:
        """List these kinds of sources alone; another one can still be chosen by `choose`."""
        view, model = self.kind.view(), self.kind.model()
        assert isinstance(view, QListView)
        assert isinstance(model, QStandardItemModel)
        for row in range(self.kind.count()):
            offered = self.kind.itemData(row) in kinds
            view.setRowHidden(row, not offered)
            # The arrow keys skip what is hidden only if it cannot be chosen.
            item = model.item(row)
            if item is not None:
                item.setEnabled(offered)

    def choose(self, kind: str) -> None:
        """Choose a kind of source."""
        self.kind.setCurrentIndex(self.kind.findData(kind))

    def _page(self, *fields: tuple[str, QWidget]) -> QWidget:
        page = QWidget()
        rows = form_rows(page)
        for title, field in fields:
            rows.addRow(title, field) if title or not isinstance(field, QLabel) else rows.addRow(field)
        self.labelled += (rows,)
        return page

    def wants(self, below: QWidget) -> bool:
        """Whether a row below has something to show."""
        kind = self.kind.currentData()
        return below is self._pages[kind if kind in self._pages else "public"]

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._on_kind)
        for field in (self.set, self.folder, self.files):
            field.changed.connect(self._on_changed)
        for box in (self.colour, self.download):
            box.toggled.connect(self._on_changed)
        self.layers.changed.connect(self._on_changed)
        self.pixel_size.valueChanged.connect(self._on_changed)
        news.remembered.connect(self._on_news)

    def value(self) -> AnyData | None:
        """Return the source; None as long as something is not chosen."""
        try:
            return self._source()
        except GanDenoiseError:
            return None

    def refusal(self) -> str:
        """Say what is not chosen yet."""
        try:
            self._source()
        except GanDenoiseError as error:
            return str(error)
        return ""

    def _source(self) -> AnyData:
        match self.kind.currentData():
            case "simulate":
                config = self.simulation()
                if missing := missing_extra(config):
                    raise GanDenoiseError(missing)
                return configure(LiveData, None, {"simulation": config, "waves": waves_path(config)})
            case "modes":
                return ModesData() if missing_extra() else ModesData(scenes=0.6, hrtem=0.15, haadf=0.25)
            case "simulated":
                return SimulatedData(path=_chosen(self.set, "the folder of a simulated set"))
            case "layers":
                return layers_data(self.layers.layers(), (self.output or Path()) / "layers")[0]
            case "folder":
                size = self.pixel_size.value() / 1000 or None
                path = _chosen(self.folder, "the folder of images")
                return FolderData(path=path, colour=self.colour.isChecked(), pixel_size_nm=size)
            case kind:
                path = _chosen(self.files, "a folder for the files of the data set")
                return PublicData(kind=kind, path=path, download=self.download.isChecked())

    def simulation(self) -> SimulationConfig:
        """Return what is simulated: the settings of the Simulate panel."""
        try:
            return configure(SimulationConfig, None, recall(SIMULATE).settings)
        except GanDenoiseError:
            return SimulationConfig()

    def channels(self) -> int:
        """Return the channels of the images."""
        match self.kind.currentData():
            case "simulate" | "simulated" | "modes" | "mnist":
                return 1
            case "layers":
                layers = self.layers.layers()
                return 3 if layers and all(layer.rgb for layer in layers) else 1
            case "folder":
                return 3 if self.colour.isChecked() else 1
            case _:
                return 3

    def suggestions(self) -> dict[str, Any]:
        """Return what suits this kind of image, by dotted names of settings."""
        kind = self.kind.currentData()
        tiles: dict[str, Any] = {"pose": "oriented", "intensity": "template", "flips": True, "near_empty": 0.05}
        if self._photographs():
            tiles = {"pose": "upright", "intensity": "absolute", "flips": kind != "mnist", "near_empty": 1.0}
        if kind == "modes":
            # A latent GAN learns templates of them, a direct denoiser images of any units.
            tiles |= {"pose": "upright", "near_empty": 1.0}
        run: dict[str, Any] = {"held_out": 40, "pixel_size_nm": None}
        if kind == "simulate":
            run["pixel_size_nm"] = _model_size(self.simulation().pixel_size_nm)
        if kind == "layers":
            size, images = self._layers()
            run = {"held_out": min(40, max(1, images // 5)), "pixel_size_nm": _model_size(size)}
        dotted = {f"tiles.{name}": value for name, value in tiles.items()}
        return {**dotted, "architecture.size": 32 if kind in SMALL else 64, **run}

    def set_value(self, value: Any) -> None:
        """Show a source as it was in an earlier session or run."""
        try:
            data: AnyData = TypeAdapter(AnyData).validate_python(value)
        except ValidationError:
            return
        kind: str = data.kind
        match data:
            case SimulatedData():
                self.set.value = data.path
            case FolderData() if self.output is not None and data.path == self.output / "layers":
                kind = "layers"
            case FolderData():
                self.folder.value = data.path
                self.colour.setChecked(data.colour)
                self.pixel_size.setValue((data.pixel_size_nm or 0.0) * 1000)
            case PublicData():
                self.files.value = data.path
                self.download.setChecked(data.download)
            case LiveData() | ModesData():
                pass
        self.choose(kind)

    def _photographs(self) -> bool:
        """Whether the images have no pixel size, or colours."""
        match self.kind.currentData():
            case "simulate" | "simulated" | "modes":
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

    def _describe_live(self) -> None:
        missing = missing_extra(self.simulation())
        line = f"{describe(self.simulation())}. The Simulate panel sets this."
        self.live.setText(missing or line)
        latest = recall(SIMULATE).own.get("latest_set")
        if latest and self.set.value is None:
            self.set.value = Path(str(latest))

    def _on_news(self, panel: str) -> None:
        if panel == SIMULATE:
            self._describe_live()
            self._on_changed()

    def _on_kind(self, _index: int) -> None:
        self.show_below()
        self._on_changed()

    def _on_changed(self, _value: Any = None) -> None:
        self.changed.emit()


def _model_size(size: float | None) -> float | None:
    """Pixel size of the model, nm: coarser than oversampled images, of which a tile would hold a few atoms only."""
    return MODEL_NM if size is not None and size < MODEL_NM else None


def _chosen(field: PathField, what: str) -> Path:
    path = field.get_value()
    if path is None:
        raise GanDenoiseError(f"Choose {what}.")
    return path
