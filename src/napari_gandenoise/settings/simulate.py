"""What to simulate: the ranges that structures and imaging conditions are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from napari_gandenoise.settings.acquisition import RecordingConfig
from napari_gandenoise.settings.base import LARGEST_SEED, Device, Settings, setting
from napari_gandenoise.settings.scenes import SceneConfig
from napari_gandenoise.settings.shared import DEVICES
from napari_gandenoise.settings.stem import PROBES, SCANNING_MICROSCOPES, AnyProbe, ProbeConfig, ScanningMicroscope
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
    "ScenesConfig",
    "SimulationConfig",
    "StructureConfig",
    "StructureSource",
]

SettingsT = TypeVar("SettingsT", bound=Settings)
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
SCANNING = ("haadf", "abf", "bf")
WITH_ATOMS = ("particle", "crystal")
IN_HRTEM = {"mode": ("hrtem",), "structure.kind": WITH_ATOMS}
IN_STEM = {"mode": SCANNING, "structure.kind": WITH_ATOMS}
FINEST_NM, COARSEST_NM, COARSEST_SCENE_NM = 0.004, 0.1, 1000.0  # pixels that show atoms, and those of scenes


FOCAL_SPREAD = "Focal spread: half width of its Gaussian at 1/e, √2 standard deviations, nm."


class ImagingConfig(Ranges):
    """Ranges of the imaging conditions.  Positive defocus is underfocus.

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
    focal_spread_nm: Range = setting((2.0, 8.0), FOCAL_SPREAD, unit="nm")
    aperture_mrad: Range = setting((12.0, 26.0), "Objective aperture semi-angle, mrad.", title="Aperture", unit="mrad")
    blur_nm: Range = setting((0.005, 0.045), "Detector and vibration blur (Gaussian sigma), nm.", unit="nm")


# Without a corrector the spherical aberration is the pole piece's: 0.5 mm (ultra-high resolution) to 1.2 mm (S-TWIN),
# the chromatic one 1.1 to 1.4 mm (makers' data sheets; Williams and Carter, Transmission Electron Microscopy, 2009,
# Table 5.1 and chapter 6).  The ranges of defocus hold Scherzer's, 1.2 √(Cs λ) (Scherzer, J. Appl. Phys. 20 (1949) 20),
# 29 to 58 nm at 300 kV, 38 to 66 nm at 200 kV, 55 to 85 nm at 80 kV, and focus on both sides of it.  The focal
# spread is √2 Cc ΔE/E of the energy spreads (standard deviations) of 0.3 to 0.5 eV of field emission and Schottky guns,
# to which ripples of lens current and voltage add (Reimer and Kohl, Transmission Electron Microscopy, 2008, chapter 4).


class _Uncorrected300(ImagingConfig):
    """300 kV without a corrector."""

    cs_um: Range = setting((500.0, 1200.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((10.0, 100.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    aperture_mrad: Range = setting((8.0, 18.0), "Objective aperture semi-angle, mrad.", title="Aperture", unit="mrad")


class _Corrected200(ImagingConfig):
    """200 kV with an image corrector."""

    energy_kev: float = setting(200.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    focal_spread_nm: Range = setting((3.0, 8.0), FOCAL_SPREAD, unit="nm")


class _Uncorrected200(_Uncorrected300):
    """200 kV without a corrector."""

    energy_kev: float = setting(200.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    focal_spread_nm: Range = setting((3.0, 10.0), FOCAL_SPREAD, unit="nm")
    defocus_nm: Range = setting((15.0, 120.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")


class _Corrected80(ImagingConfig):
    """80 kV with an image corrector, with or without a monochromator."""

    energy_kev: float = setting(80.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    defocus_nm: Range = setting((-15.0, 15.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")


class _Uncorrected80(_Uncorrected300):
    """80 kV without a corrector."""

    energy_kev: float = setting(80.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    defocus_nm: Range = setting((25.0, 150.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    focal_spread_nm: Range = setting((5.0, 14.0), FOCAL_SPREAD, unit="nm")


IMAGING: dict[Microscope, type[ImagingConfig]] = {
    "300kv-corrected": ImagingConfig,
    "300kv": _Uncorrected300,
    "200kv-corrected": _Corrected200,
    "200kv": _Uncorrected200,
    "80kv-corrected": _Corrected80,
    "80kv": _Uncorrected80,
}


class ScenesConfig(SceneConfig):
    """Scenes without atoms, drawn as they look: what a microscope sees at low magnification."""

    kind: Literal["scene"] = "scene"

    @property
    def names(self) -> tuple[str, ...]:
        """What the scenes show, each name once."""
        return tuple(dict.fromkeys(self.kinds))


Source = Annotated[StructureConfig | CrystalConfig | ScenesConfig, Field(discriminator="kind")]


class SimulationConfig(Ranges):
    """Simulated images: how many, of which structures or scenes, on which grid, drawn from which ranges.

    Clean images are relative to vacuum in HRTEM and in bright fields, the detected share of the beam in HAADF, and
    within 0 and 1 for scenes, which look the same in every mode.
    """

    structures: int = setting(100, "Number of atomic structures, or of scenes.", group="Training set", ge=1)
    images_per_structure: int = setting(
        8, "Images of each structure, under conditions of their own.", title="Images each", group="Training set", ge=1
    )
    mode: Mode = setting("hrtem", "What kind of micrograph; bright fields take minutes an image.", choices=MODES)
    microscope: Microscope = setting(
        "300kv-corrected",
        "Which kind of microscope the imaging conditions are those of; ranges that are given win.",
        choices=MICROSCOPES,
        only=IN_HRTEM,
    )
    scanning_microscope: ScanningMicroscope = setting(
        "300kv-corrected",
        "Which kind of scanning microscope the probes are those of; ranges that are given win.",
        title="Microscope",
        choices=SCANNING_MICROSCOPES,
        only=IN_STEM,
    )
    pixel_size_nm: float = setting(
        0.0183,
        "Pixel size of the images, nm; up to 0.1 nm where there are atoms.",
        title="Pixel size",
        unit="nm",
        ge=FINEST_NM,
        le=COARSEST_SCENE_NM,
    )
    shape: int = setting(400, "Side of the square images, pixels.", title="Side", ge=32, le=4096)
    seed: int = setting(0, "Seed; structure i depends on (seed, i) alone.", ge=0, le=LARGEST_SEED)
    structure: Source = setting(
        StructureConfig(),
        "What the images show.",
        title="Structures",
        choices={**SOURCES, "scene": "Scenes without a lattice"},
    )
    imaging: ImagingConfig | _Uncorrected300 | _Corrected200 | _Uncorrected200 | _Corrected80 | _Uncorrected80 = (
        setting(
            ImagingConfig(),
            "Ranges of the imaging conditions.",
            group="Imaging conditions",
            by="microscope",
            only=IN_HRTEM,
        )
    )
    vibration_nm: float = setting(
        0.0,
        "Vibration of the atoms (root mean square along one axis), nm; about 0.007 at room temperature.",
        title="Vibration",
        unit="nm",
        group="Imaging conditions",
        only=IN_HRTEM,
        ge=0,
        le=0.05,
    )
    probe: AnyProbe = setting(
        PROBES["300kv-corrected"](),
        "Ranges of the probe and of the detector.",
        group="Probe and detector",
        by="scanning_microscope",
        only=IN_STEM,
    )
    acquisition: RecordingConfig = setting(
        RecordingConfig(), "How a micrograph is recorded; training sets hold clean images.", group="Recording"
    )
    device: Device = setting("auto", "Where to compute.", group="Training set", choices=DEVICES)

    @model_validator(mode="before")
    @classmethod
    def _with_conditions(cls, fields: Any) -> Any:
        return {"imaging": {}, "probe": {}, **fields} if isinstance(fields, dict) else fields

    @field_validator("structure", mode="before")
    @classmethod
    def _particles_by_default(cls, value: Any) -> Any:
        # Files from before there was a choice say nothing of it.
        return {"kind": "particle", **value} if isinstance(value, Mapping) else value

    @field_validator("imaging", mode="before")
    @classmethod
    def _of_the_microscope(cls, value: Any, info: ValidationInfo) -> ImagingConfig:
        return _of_kind(IMAGING[info.data.get("microscope", "300kv-corrected")], value)

    @field_validator("probe", mode="before")
    @classmethod
    def _of_the_scanning_microscope(cls, value: Any, info: ValidationInfo) -> ProbeConfig:
        return _of_kind(PROBES[info.data.get("scanning_microscope", "300kv-corrected")], value)

    @model_validator(mode="after")
    def _shows_atoms(self) -> SimulationConfig:
        if self.structure.kind != "scene" and self.pixel_size_nm > COARSEST_NM:
            raise ValueError(
                f"pixel_size_nm: atoms need pixels of {COARSEST_NM} nm at most, not {self.pixel_size_nm:g}; scenes may "
                "have larger ones"
            )
        return self


def _of_kind(kind: type[SettingsT], value: Any) -> SettingsT:
    """Make the ranges of one microscope of what was given; of another one's only those that were given count."""
    other = isinstance(value, BaseModel) and type(value) is not kind
    return kind.model_validate(value.model_dump(exclude_unset=True) if other else value)
