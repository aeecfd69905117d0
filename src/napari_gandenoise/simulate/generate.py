"""Simulated sets: draw structures, propagate once, image many times, write to Zarr as they come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate.conditions import ImagingConditions, draw_conditions
from napari_gandenoise.simulate.structures import build_structure

# PyTorch loads when something is simulated: until then a panel has only its form to show.
if TYPE_CHECKING:
    import torch

    from napari_gandenoise.simulate.multislice import ExitWaves

__all__ = [
    "SimulatedImage",
    "contrast_class",
    "make_wave",
    "simulate_images",
    "simulate_steps",
    "wave_pixels",
]

# The grid of exit waves and images: fine enough for the intensity behind an aperture of 26 mrad at 300 kV.
WAVE_SAMPLING_NM = 0.0183
MARGIN_NM = 0.44  # cut off on each side: the periodic multislice cell wraps the structure around


class SimulatedImage(NamedTuple):
    """A clean image ``(Y, X)`` relative to vacuum, with what made it."""

    pixels: NDArray[np.float32]
    pixel_size_nm: float
    structure: str
    conditions: ImagingConditions
    contrast: str


def contrast_class(pixels: NDArray[np.float32], projected_potential: NDArray[np.float32]) -> str:
    """Say whether atom columns are white, black or intermediate, by their correlation with the image.

    Low spatial frequencies are removed first: mean darkening by the support is not column contrast.
    """
    columns, seen = (a - ndimage.gaussian_filter(a, 12) for a in (projected_potential, pixels))
    correlation = float(np.corrcoef(columns.ravel(), seen.ravel())[0, 1])
    return "white" if correlation > 0.3 else "black" if correlation < -0.3 else "intermediate"


def simulate_images(
    config: SimulationConfig, structure: int, device: torch.device | str = "cpu"
) -> list[SimulatedImage]:
    """Simulate all images of structure number ``structure`` of a set.

    Parameters
    ----------
    config : SimulationConfig
        What to simulate.
    structure : int
        Which structure; with the config's seed it decides every draw.
    device : torch.device or str
        Where to compute.  On a processor the images are the same in any process, bit by bit.

    Returns
    -------
    list of SimulatedImage
        ``config.images_per_structure`` images of ``config.shape`` squared at ``config.pixel_size_nm``.
    """
    from napari_gandenoise.simulate.optics import hrtem_images
    from napari_gandenoise.simulate.resampling import crop_to_grid

    rng = np.random.default_rng((config.seed, structure))
    wave, formula = make_wave(config, rng, device)
    conditions = [draw_conditions(config.imaging, rng) for _ in range(config.images_per_structure)]
    full = hrtem_images(wave, conditions)
    pixels = crop_to_grid(full, wave.pixel_size_nm, config.pixel_size_nm, config.shape).cpu().numpy()
    potential = wave.projected_potential[0].cpu().numpy()
    contrasts = [contrast_class(image, potential) for image in full.cpu().numpy()]
    return [
        SimulatedImage(image, config.pixel_size_nm, formula, drawn, contrast)
        for image, drawn, contrast in zip(pixels, conditions, contrasts, strict=True)
    ]


def make_wave(
    config: SimulationConfig, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> tuple[ExitWaves, str]:
    """Draw a structure and propagate through it; return its exit wave on the images' grid and its formula."""
    from napari_gandenoise.simulate.multislice import exit_waves

    box_nm = config.shape * config.pixel_size_nm + 2 * MARGIN_NM
    atoms = build_structure(config.structure, rng, box_nm)
    wave = exit_waves([atoms], config.imaging.energy_kev, wave_pixels(config), device)
    return wave, atoms.get_chemical_formula()


def wave_pixels(config: SimulationConfig) -> int:
    """Side of the exit waves of a set, pixels."""
    box_nm = config.shape * config.pixel_size_nm + 2 * MARGIN_NM
    return int(np.ceil(box_nm / WAVE_SAMPLING_NM / 16)) * 16


def simulate_steps(config: SimulationConfig, output: Path, device: torch.device | str = "cpu") -> Steps[Path]:
    """Write a simulated set, one event an image.

    Parameters
    ----------
    config : SimulationConfig
        What to simulate.
    output : pathlib.Path
        Zarr group to create: ``images`` ``(N, Y, X)`` float16 relative to vacuum, attributes with the
        config and the conditions of each image.  An existing set of the same config is continued.
    device : torch.device or str
        Where to compute.

    Yields
    ------
    Progress
        Stage "simulate"; the preview is the latest image.

    Raises
    ------
    GanDenoiseError
        If ``output`` holds something else.
    """
    group, images = _open_set(config, output)
    per = config.images_per_structure
    records: list[dict[str, Any]] = list(group.attrs.get("records", []))
    for structure in range(len(records) // per, config.structures):
        simulated = simulate_images(config, structure, device)
        images[structure * per : (structure + 1) * per] = np.stack([s.pixels for s in simulated]).astype(np.float16)
        records += [{**s.conditions._asdict(), "structure": s.structure, "contrast": s.contrast} for s in simulated]
        # Written last: a set that was stopped half-way resumes after the last whole structure.
        group.attrs["records"] = records
        yield Progress("simulate", structure + 1, config.structures, preview=simulated[-1].pixels)
    return output


def _open_set(config: SimulationConfig, output: Path) -> tuple[Any, Any]:
    import zarr

    description = config.model_dump(mode="json")
    if output.exists():
        try:
            group = zarr.open_group(output, mode="r+")
        except FileNotFoundError:
            group = None
        if group is None or group.attrs.get("simulation") != description:
            raise GanDenoiseError(f"{output} already holds another set or something else: choose a new name.")
        return group, group["images"]
    group = zarr.open_group(output, mode="w")
    group.attrs["simulation"] = description
    shape = (config.structures * config.images_per_structure, config.shape, config.shape)
    images = group.create_array("images", shape=shape, chunks=(1, *shape[1:]), dtype="float16")
    return group, images
