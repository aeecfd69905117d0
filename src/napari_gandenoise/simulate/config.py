"""What to simulate: the ranges that structures and imaging conditions are drawn from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ImagingConfig", "Metal", "SimulationConfig", "StructureConfig"]

Metal = Literal["Pt", "Au", "Pd"]
Range = tuple[float, float]
Miller = tuple[int, int, int]


class _Ranges(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _ordered(self) -> _Ranges:
        for name, value in self.__dict__.items():
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float) and value[0] > value[1]:
                raise ValueError(f"{name}: the first number of a range must not exceed the second, got {value}.")
        return self


class StructureConfig(_Ranges):
    """Ranges of the atomic structures."""

    metals: tuple[Metal, ...] = Field(("Pt", "Pt", "Au", "Pd"), description="Metals to draw from; repeats weigh more.")
    diameter_nm: Range = Field((2.0, 5.0), description="Particle diameter, nm.")
    zone_axes: tuple[Miller, ...] = Field(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1), (2, 1, 1)), description="Zone axes of the particle."
    )
    tilt_deg: float = Field(1.5, ge=0, description="Standard deviation of the tilt off the zone axis, degrees.")
    supported_fraction: float = Field(0.8, ge=0, le=1, description="Share of particles that sit on CeO2.")
    support_zone_axes: tuple[Miller, ...] = Field(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1)), description="Zone axes of the CeO2 support."
    )
    support_thickness_nm: Range = Field((2.0, 7.0), description="Support thickness along the beam, nm.")
    support_wedge: float = Field(0.6, ge=0, description="Largest relative growth of the thickness into the support.")
    truncation: Range = Field((0.1, 0.9), description="How much of the radius the support cuts off the particle.")
    max_missing_columns: int = Field(3, ge=0, description="At most this many surface columns are removed.")
    max_extra_columns: int = Field(2, ge=0, description="At most this many columns are added on facets.")
    rotate_in_plane: bool = Field(True, description="Turn the whole scene by a random angle.")


class ImagingConfig(_Ranges):
    """Ranges of the imaging conditions.  Positive defocus is underfocus, as in abTEM."""

    energy_kev: float = Field(300.0, gt=0, description="Electron energy, keV.")
    cs_um: Range = Field((-20.0, 20.0), description="Spherical aberration, µm.")
    defocus_nm: Range = Field((-22.0, 22.0), description="Defocus, nm; both signs give white and black atoms.")
    astigmatism_nm: Range = Field((0.0, 2.0), description="Twofold astigmatism, nm.")
    focal_spread_nm: Range = Field((2.0, 8.0), description="Focal spread (standard deviation), nm.")
    aperture_mrad: Range = Field((12.0, 26.0), description="Objective aperture semi-angle, mrad.")
    blur_nm: Range = Field((0.005, 0.045), description="Detector and vibration blur (Gaussian sigma), nm.")


class SimulationConfig(_Ranges):
    """A simulated set: how many structures and images, on which grid, drawn from which ranges."""

    structures: Annotated[int, Field(ge=1, description="Number of atomic structures.")] = 100
    images_per_structure: Annotated[int, Field(ge=1, description="Imaging conditions drawn for each exit wave.")] = 8
    pixel_size_nm: Annotated[float, Field(ge=0.004, le=0.04, description="Pixel size of the images, nm.")] = 0.0183
    shape: Annotated[int, Field(ge=32, le=4096, description="Side of the square images, pixels.")] = 400
    seed: Annotated[int, Field(ge=0, description="Seed; structure i depends on (seed, i) alone.")] = 0
    structure: StructureConfig = StructureConfig()
    imaging: ImagingConfig = ImagingConfig()
