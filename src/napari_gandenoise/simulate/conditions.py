"""Imaging conditions of HRTEM: what a microscope was set to when it took an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_gandenoise.settings.simulate import ImagingConfig

__all__ = ["ImagingConditions", "draw_conditions"]


class ImagingConditions(NamedTuple):
    """One draw from an `ImagingConfig`.

    Aberrations have the signs and names of the function χ in Kirkland, Advanced Computing in Electron Microscopy
    (3rd ed., 2020), ch. 2; angles of axes are counted from x towards y, in radians.

    Attributes
    ----------
    energy_kev : float
        Electron energy, keV.
    cs_um : float
        Spherical aberration, µm.
    defocus_nm : float
        Defocus, nm; positive is underfocus.
    astigmatism_nm, astigmatism_angle : float
        Twofold astigmatism C12, nm, and its axis.
    focal_spread_nm : float
        Half width of the spread of defocus where its Gaussian has fallen to 1/e: √2 standard deviations, nm.
    aperture_mrad : float
        Semi-angle of the objective aperture, mrad.
    blur_nm : float
        Detector and vibration: standard deviation of a Gaussian, nm.
    coma_nm, coma_angle : float
        Axial coma C21, nm, and its axis.
    trefoil_nm, trefoil_angle : float
        Threefold astigmatism C23, nm, and its axis.
    angular_spread_mrad : float
        Half width of the illumination's angles where their Gaussian has fallen to 1/e, mrad; 0 is a plane wave.
    """

    energy_kev: float
    cs_um: float
    defocus_nm: float
    astigmatism_nm: float
    astigmatism_angle: float
    focal_spread_nm: float
    aperture_mrad: float
    blur_nm: float
    coma_nm: float = 0.0
    coma_angle: float = 0.0
    trefoil_nm: float = 0.0
    trefoil_angle: float = 0.0
    angular_spread_mrad: float = 0.0


def draw_conditions(config: ImagingConfig, rng: np.random.Generator) -> ImagingConditions:
    """Draw each quantity uniformly from its range."""
    return ImagingConditions(
        config.energy_kev,
        rng.uniform(*config.cs_um),
        rng.uniform(*config.defocus_nm),
        rng.uniform(*config.astigmatism_nm),
        rng.uniform(0, np.pi),
        rng.uniform(*config.focal_spread_nm),
        rng.uniform(*config.aperture_mrad),
        rng.uniform(*config.blur_nm),
    )
