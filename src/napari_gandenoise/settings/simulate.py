"""What to simulate: the ranges that structures and imaging conditions are drawn from."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from napari_gandenoise.settings.base import Settings, setting

__all__ = ["ImagingConfig", "Metal", "SimulationConfig", "StructureConfig"]

Metal = Literal["Pt", "Au", "Pd"]
Range = tuple[float, float]
Miller = tuple[int, int, int]
METALS = {"Pt": "Pt", "Au": "Au", "Pd": "Pd"}
ZONES = {(1, 1, 0): "[110]", (1, 0, 0): "[100]", (1, 1, 1): "[111]", (2, 1, 1): "[211]"}
SUPPORT = "Support and orientation"


class _Ranges(Settings):
    @model_validator(mode="after")
    def _ordered(self) -> _Ranges:
        for name, value in self.__dict__.items():
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float) and value[0] > value[1]:
                raise ValueError(f"{name}: the first number of a range must not exceed the second, got {value}.")
        return self


class StructureConfig(_Ranges):
    """Ranges of the atomic structures."""

    metals: tuple[Metal, ...] = setting(
        ("Pt", "Pt", "Au", "Pd"),
        "Metals to draw from; repeats weigh more.",
        title="Material",
        choices=METALS,
        min_length=1,
    )
    diameter_nm: Range = setting((2.0, 5.0), "Particle diameter, nm.", unit="nm")
    zone_axes: tuple[Miller, ...] = setting(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1), (2, 1, 1)),
        "Zone axes of the particle.",
        title="Zone axis",
        choices=ZONES,
        min_length=1,
    )
    tilt_deg: float = setting(
        1.5, "Standard deviation of the tilt off the zone axis, degrees.", title="Tilt", unit="°", ge=0
    )
    supported_fraction: float = setting(0.8, "Share of particles that sit on CeO2.", title="On CeO₂", ge=0, le=1)
    support_zone_axes: tuple[Miller, ...] = setting(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1)),
        "Zone axes of the CeO2 support.",
        title="Zone axis",
        group=SUPPORT,
        choices=ZONES,
        min_length=1,
    )
    support_thickness_nm: Range = setting(
        (2.0, 7.0), "Support thickness along the beam, nm.", title="Thickness", unit="nm", group=SUPPORT
    )
    support_wedge: float = setting(
        0.6, "Largest relative growth of the thickness into the support.", title="Wedge", group=SUPPORT, ge=0
    )
    truncation: Range = setting((0.1, 0.9), "How much of the radius the support cuts off the particle.", group=SUPPORT)
    max_missing_columns: int = setting(3, "At most this many surface columns are removed.", title="Vacancies ≤", ge=0)
    max_extra_columns: int = setting(2, "At most this many columns are added on facets.", title="Adatoms ≤", ge=0)
    rotate_in_plane: bool = setting(
        True, "Turn the whole scene by a random angle.", title="Turn in plane", group=SUPPORT
    )


class ImagingConfig(_Ranges):
    """Ranges of the imaging conditions.  Positive defocus is underfocus, as in abTEM."""

    energy_kev: float = setting(300.0, "Electron energy, keV.", title="Energy", unit="keV", gt=0)
    cs_um: Range = setting((-20.0, 20.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((-22.0, 22.0), "Defocus, nm; both signs give white and black atoms.", unit="nm")
    astigmatism_nm: Range = setting((0.0, 2.0), "Twofold astigmatism, nm.", unit="nm")
    focal_spread_nm: Range = setting((2.0, 8.0), "Focal spread (standard deviation), nm.", unit="nm")
    aperture_mrad: Range = setting((12.0, 26.0), "Objective aperture semi-angle, mrad.", title="Aperture", unit="mrad")
    blur_nm: Range = setting((0.005, 0.045), "Detector and vibration blur (Gaussian sigma), nm.", unit="nm")


class SimulationConfig(_Ranges):
    """A simulated set: how many structures and images, on which grid, drawn from which ranges."""

    structures: int = setting(100, "Number of atomic structures.", group="Training set", ge=1)
    images_per_structure: int = setting(
        8, "Imaging conditions drawn for each exit wave.", title="Images each", group="Training set", ge=1
    )
    pixel_size_nm: float = setting(
        0.0183, "Pixel size of the images, nm.", title="Pixel size", unit="nm", ge=0.004, le=0.04
    )
    shape: int = setting(400, "Side of the square images, pixels.", title="Side", ge=32, le=4096)
    seed: int = setting(0, "Seed; structure i depends on (seed, i) alone.", ge=0)
    structure: StructureConfig = setting(StructureConfig(), "Ranges of the atomic structures.")
    imaging: ImagingConfig = setting(ImagingConfig(), "Ranges of the imaging conditions.", group="Imaging conditions")
