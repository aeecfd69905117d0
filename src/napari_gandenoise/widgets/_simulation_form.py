"""The fields of the Simulate panel, made from the config they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.simulate import ImagingConfig, SimulationConfig, StructureConfig
from napari_gandenoise.simulate.micrograph import DOSE
from napari_gandenoise.widgets._config_fields import ConfigFields
from napari_gandenoise.widgets._number_box import NumberBox
from napari_gandenoise.widgets._parts import align_labels, folded, form_rows

__all__ = ["Remembered", "SimulationForm", "describe"]

METALS = {"Pt": "Pt", "Au": "Au", "Pd": "Pd"}
ZONES = {(1, 1, 0): "[110]", (1, 0, 0): "[100]", (1, 1, 1): "[111]", (2, 1, 1): "[211]"}
STRUCTURE = (
    "metals", "diameter_nm", "zone_axes", "tilt_deg", "supported_fraction", "max_missing_columns", "max_extra_columns",
)  # fmt: skip
SUPPORT = ("support_zone_axes", "support_thickness_nm", "support_wedge", "truncation", "rotate_in_plane")
GRID = ("pixel_size_nm", "shape", "seed")
SET = ("structures", "images_per_structure")
TITLES = {
    "metals": "Material",
    "zone_axes": "Zone axis",
    "supported_fraction": "On CeO₂",
    "max_missing_columns": "Vacancies ≤",
    "max_extra_columns": "Adatoms ≤",
    "support_zone_axes": "Zone axis",
    "support_thickness_nm": "Thickness",
    "support_wedge": "Wedge",
    "cs_um": "Cs",
    "shape": "Side",
    "images_per_structure": "Images of each",
    "rotate_in_plane": "Turn in plane",
}


class Remembered(BaseModel):
    """What the panel keeps for the next session, and what the Train panel simulates from."""

    config: SimulationConfig = SimulationConfig()
    dose: float = DOSE
    latest_set: str = ""


def describe(config: SimulationConfig) -> str:
    """Put what is simulated into a line: ``Pt, Au, Pd · 2 to 5 nm · 18.3 pm/pixel · 100 structures``."""
    metals = ", ".join(dict.fromkeys(config.structure.metals))
    low, high = config.structure.diameter_nm
    size = f"{low:g} to {high:g} nm" if low < high else f"{low:g} nm"
    return f"{metals} · {size} · {config.pixel_size_nm * 1000:.3g} pm/pixel · {config.structures} structures"


class SimulationForm(QWidget):
    """All settings of a simulation.

    Signals
    -------
    changed
        A field has another value, whoever changed it.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        choices: dict[str, Mapping[Any, str]] = {"metals": METALS, "zone_axes": ZONES, "support_zone_axes": ZONES}
        names = (*STRUCTURE, *SUPPORT)
        self.structure = ConfigFields(StructureConfig, names, choices, TITLES, self)
        self.imaging = ConfigFields(ImagingConfig, ImagingConfig.model_fields, titles=TITLES, parent=self)
        self.grid = ConfigFields(SimulationConfig, (*GRID, *SET), titles=TITLES, parent=self)
        self.dose = NumberBox(0.001, 1e6, "e⁻/pixel")
        self.dose.setValue(DOSE)
        self.dose.setToolTip("Electrons per pixel in vacuum, of a micrograph; a training set holds clean images.")
        self._lay_out()
        for fields in (self.structure, self.imaging, self.grid):
            fields.changed.connect(self.changed)
        self.dose.valueChanged.connect(self._on_dose_changed)

    def _lay_out(self) -> None:
        top, support, imaging, sets = form_rows(), QWidget(), QWidget(), QWidget()
        top.setSpacing(6)  # a nested form would take that of the column
        self.structure.add_to(top, STRUCTURE)
        self.grid.add_to(top, GRID[:2])
        top.addRow("Dose", self.dose)
        self.grid.add_to(top, GRID[2:])
        self.structure.add_to(support_rows := form_rows(support), SUPPORT)
        self.imaging.add_to(imaging_rows := form_rows(imaging))
        self.grid.add_to(set_rows := form_rows(sets), SET)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(top)
        column.addWidget(folded("Imaging conditions", imaging))
        column.addWidget(folded("Support and orientation", support))
        column.addWidget(folded("Training set", sets))
        align_labels(top, support_rows, imaging_rows, set_rows)

    def config(self) -> SimulationConfig:
        """Return the settings as the config that every door takes.

        Raises
        ------
        GanDenoiseError
            If the fields do not go together.
        """
        fields = {**self.grid.values(), "structure": self.structure.values(), "imaging": self.imaging.values()}
        try:
            return SimulationConfig.model_validate(fields)
        except ValidationError as error:
            raise GanDenoiseError.from_validation(error) from None

    def restore(self, values: Remembered) -> None:
        """Set the fields as they were in an earlier session."""
        self.grid.set_values(values.config)
        self.structure.set_values(values.config.structure)
        self.imaging.set_values(values.config.imaging)
        self.dose.setValue(values.dose)

    def sentence(self) -> str:
        """Say what a micrograph of these settings is: its field of view and its dose by area."""
        config = self.config()
        per_area = self.dose.value() / (10 * config.pixel_size_nm) ** 2
        field = config.shape * config.pixel_size_nm
        return (
            f"{config.shape}×{config.shape} pixels, {field:.3g} nm wide, {per_area:.3g} e⁻/Å². A training set: "
            f"{config.structures * config.images_per_structure:,} clean images of {config.structures} structures."
        )

    def _on_dose_changed(self, _dose: float) -> None:
        self.changed.emit()
