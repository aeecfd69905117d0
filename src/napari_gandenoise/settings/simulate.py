"""What to simulate: the ranges that structures and imaging conditions are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationInfo, field_validator, model_validator

from napari_gandenoise.settings.base import Device, setting
from napari_gandenoise.settings.denoise import DEVICES
from napari_gandenoise.settings.structures import (
    SOURCES,
    CrystalConfig,
    DefectConfig,
    Metal,
    Range,
    Ranges,
    StructureConfig,
    StructureSource,
)

__all__ = [
    "MICROSCOPES",
    "MODES",
    "CrystalConfig",
    "DefectConfig",
    "ImagingConfig",
    "Metal",
    "Microscope",
    "Mode",
    "SimulationConfig",
    "StructureConfig",
    "StructureSource",
]

Mode = Literal["hrtem", "haadf", "abf", "bf"]
Microscope = Literal["300kv-corrected", "300kv", "200kv-corrected", "200kv", "80kv-corrected", "80kv"]
MODES = {"hrtem": "HRTEM", "haadf": "HAADF-STEM", "abf": "ABF-STEM", "bf": "BF-STEM"}
MICROSCOPES = {
    "300kv-corrected": "300 kV, image-corrected",
    "300kv": "300 kV",
    "200kv-corrected": "200 kV, image-corrected",
    "200kv": "200 kV",
    "80kv-corrected": "80 kV, image-corrected",
    "80kv": "80 kV",
}


class ImagingConfig(Ranges):
    """Ranges of the imaging conditions.  Positive defocus is underfocus, as in abTEM.

    These are those of an image-corrected microscope at 300 kV: a corrector brings the spherical aberration below some
    tens of micrometres [1]_, of either sign, for white or for black atoms [2]_.

    References
    ----------
    .. [1] Haider et al., Nature 392 (1998) 768.
    .. [2] Jia, Lentzen and Urban, Science 299 (2003) 870.
    """

    energy_kev: float = setting(300.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    cs_um: Range = setting((-20.0, 20.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((-22.0, 22.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    astigmatism_nm: Range = setting((0.0, 2.0), "Twofold astigmatism, nm.", unit="nm")
    focal_spread_nm: Range = setting((2.0, 8.0), "Focal spread (standard deviation), nm.", unit="nm")
    aperture_mrad: Range = setting((12.0, 26.0), "Objective aperture semi-angle, mrad.", title="Aperture", unit="mrad")
    blur_nm: Range = setting((0.005, 0.045), "Detector and vibration blur (Gaussian sigma), nm.", unit="nm")


# Without a corrector the spherical aberration is the pole piece's: 0.5 mm (ultra-high resolution) to 1.2 mm (S-TWIN),
# the chromatic one 1.1 to 1.4 mm (makers' data sheets; Williams and Carter, Transmission Electron Microscopy, 2009,
# Table 5.1 and chapter 6).  The ranges of defocus hold Scherzer's, 1.2 √(Cs λ) (Scherzer, J. Appl. Phys. 20 (1949) 20),
# 29 to 58 nm at 300 kV, 38 to 66 nm at 200 kV, 55 to 85 nm at 80 kV, and focus on both sides of it.  The focal
# spread is Cc ΔE/E of the energy spreads (standard deviations) of 0.3 to 0.5 eV of field emission and Schottky guns, to
# which ripples of lens current and voltage add (Reimer and Kohl, Transmission Electron Microscopy, 2008, chapter 4).


class _Uncorrected300(ImagingConfig):
    """300 kV without a corrector."""

    cs_um: Range = setting((500.0, 1200.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((10.0, 100.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    aperture_mrad: Range = setting((8.0, 18.0), "Objective aperture semi-angle, mrad.", title="Aperture", unit="mrad")


class _Corrected200(ImagingConfig):
    """200 kV with an image corrector."""

    energy_kev: float = setting(200.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    focal_spread_nm: Range = setting((3.0, 8.0), "Focal spread (standard deviation), nm.", unit="nm")


class _Uncorrected200(_Uncorrected300):
    """200 kV without a corrector."""

    energy_kev: float = setting(200.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    focal_spread_nm: Range = setting((3.0, 10.0), "Focal spread (standard deviation), nm.", unit="nm")
    defocus_nm: Range = setting((15.0, 120.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")


class _Corrected80(ImagingConfig):
    """80 kV with an image corrector, with or without a monochromator."""

    energy_kev: float = setting(80.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    defocus_nm: Range = setting((-15.0, 15.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")


class _Uncorrected80(_Uncorrected300):
    """80 kV without a corrector."""

    energy_kev: float = setting(80.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    defocus_nm: Range = setting((25.0, 150.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    focal_spread_nm: Range = setting((5.0, 14.0), "Focal spread (standard deviation), nm.", unit="nm")


IMAGING: dict[Microscope, type[ImagingConfig]] = {
    "300kv-corrected": ImagingConfig,
    "300kv": _Uncorrected300,
    "200kv-corrected": _Corrected200,
    "200kv": _Uncorrected200,
    "80kv-corrected": _Corrected80,
    "80kv": _Uncorrected80,
}


class SimulationConfig(Ranges):
    """A simulated set: how many structures and images, on which grid, drawn from which ranges."""

    structures: int = setting(100, "Number of atomic structures.", group="Training set", ge=1)
    images_per_structure: int = setting(
        8, "Imaging conditions drawn for each exit wave.", title="Images each", group="Training set", ge=1
    )
    mode: Mode = setting("hrtem", "What kind of micrograph.", choices=MODES)
    microscope: Microscope = setting(
        "300kv-corrected",
        "Which kind of microscope the imaging conditions are those of; ranges that are given win.",
        choices=MICROSCOPES,
        only={"mode": ("hrtem",)},
    )
    pixel_size_nm: float = setting(
        0.0183, "Pixel size of the images, nm.", title="Pixel size", unit="nm", ge=0.004, le=0.1
    )
    shape: int = setting(400, "Side of the square images, pixels.", title="Side", ge=32, le=4096)
    seed: int = setting(0, "Seed; structure i depends on (seed, i) alone.", ge=0)
    structure: StructureSource = setting(
        StructureConfig(), "Where the atomic structures come from.", title="Structures", choices=SOURCES
    )
    imaging: ImagingConfig | _Uncorrected300 | _Corrected200 | _Uncorrected200 | _Corrected80 | _Uncorrected80 = (
        setting(
            ImagingConfig(),
            "Ranges of the imaging conditions.",
            group="Imaging conditions",
            by="microscope",
            only={"mode": ("hrtem",)},
        )
    )
    device: Device = setting("auto", "Where to compute.", group="Training set", choices=DEVICES)

    @model_validator(mode="before")
    @classmethod
    def _with_imaging(cls, fields: Any) -> Any:
        return {"imaging": {}, **fields} if isinstance(fields, dict) else fields

    @field_validator("structure", mode="before")
    @classmethod
    def _particles_by_default(cls, value: Any) -> Any:
        # Files from before there was a choice say nothing of it.
        return {"kind": "particle", **value} if isinstance(value, Mapping) else value

    @field_validator("imaging", mode="before")
    @classmethod
    def _of_the_microscope(cls, value: Any, info: ValidationInfo) -> ImagingConfig:
        kind = IMAGING[info.data.get("microscope", "300kv-corrected")]
        # Of the ranges of another microscope only those that were given count.
        other = isinstance(value, BaseModel) and type(value) is not kind
        return kind.model_validate(value.model_dump(exclude_unset=True) if other else value)
