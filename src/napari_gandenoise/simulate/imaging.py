"""Exit waves by multislice and images through drawn transfer functions (abTEM), vacuum normalised to one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.settings.simulate import ImagingConfig

__all__ = ["ExitWave", "ImagingConditions", "draw_conditions", "image", "propagate", "restore_wave"]

# The multislice grid: fine enough for 27 mrad at 300 kV after abTEM's two-thirds band limit.
WAVE_SAMPLING_NM = 0.0183


class ImagingConditions(NamedTuple):
    """One draw from an `ImagingConfig`; units as there."""

    energy_kev: float
    cs_um: float
    defocus_nm: float
    astigmatism_nm: float
    astigmatism_angle: float
    focal_spread_nm: float
    aperture_mrad: float
    blur_nm: float


class ExitWave(NamedTuple):
    """An exit wave and the projected potential it came from (arbitrary scale), both on the same grid."""

    wave: Any
    projected_potential: NDArray[np.float32]
    pixel_size_nm: float


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


def propagate(atoms: Any, energy_kev: float, pixels: int) -> ExitWave:
    """Send a plane wave through the structure by multislice.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure in an orthogonal, square-faced cell (Å).
    energy_kev : float
        Electron energy, keV.
    pixels : int
        Side of the wave's grid.
    """
    import abtem

    potential = abtem.Potential(atoms, gpts=(pixels, pixels), slice_thickness=2.0, projection="infinite")
    potential = potential.build(lazy=False)
    wave = abtem.PlaneWave(energy=energy_kev * 1e3).multislice(potential, lazy=False)
    projected = np.asarray(potential.array, np.float32).sum(axis=0)
    return ExitWave(wave, projected, float(atoms.cell[0, 0]) / 10 / pixels)


def restore_wave(
    amplitudes: NDArray[np.complex64], projected_potential: NDArray[np.float32], energy_kev: float, pixel_size_nm: float
) -> ExitWave:
    """Make an exit wave again of the complex amplitudes ``(X, Y)`` that `propagate` left in ``wave.array``."""
    import abtem

    wave = abtem.Waves(amplitudes, energy=energy_kev * 1e3, sampling=10 * pixel_size_nm)
    return ExitWave(wave, projected_potential, pixel_size_nm)


def image(exit_wave: ExitWave, conditions: ImagingConditions) -> NDArray[np.float32]:
    """Image of an exit wave, electrons relative to vacuum, on the wave's own grid ``(Y, X)``.

    Partial temporal coherence is abTEM's focal-spread envelope (quasi-coherent); detector MTF and specimen
    vibration are one Gaussian.  The same wave and conditions give the same image, bit by bit, in any process.
    """
    import abtem

    ctf = abtem.CTF(
        energy=conditions.energy_kev * 1e3,
        semiangle_cutoff=conditions.aperture_mrad,
        soft=True,
        Cs=conditions.cs_um * 1e4,
        defocus=conditions.defocus_nm * 10,
        astigmatism=conditions.astigmatism_nm * 10,
        astigmatism_angle=conditions.astigmatism_angle,
        focal_spread=conditions.focal_spread_nm * 10,
    )
    # abTEM's default, FFTW, times its plans, and each plan rounds differently: no process would repeat another's image.
    with abtem.config.set({"fft": "numpy"}):
        intensity = np.asarray(exit_wave.wave.apply_ctf(ctf).intensity().array, np.float32)
    blurred = ndimage.gaussian_filter(intensity, conditions.blur_nm / exit_wave.pixel_size_nm, mode="wrap")
    # abTEM's x is its first axis; images are (Y, X).
    return np.ascontiguousarray(blurred.T)
