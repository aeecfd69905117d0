"""Exit waves on disk: propagated once, imaged as often as wanted, each time under other conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate.conditions import draw_conditions
from napari_gandenoise.simulate.generate import MARGIN_NM, device_of, make_wave, wave_identity, wave_pixels
from napari_gandenoise.simulate.micrograph import missing_extra
from napari_gandenoise.simulate.multislice import ExitWaves
from napari_gandenoise.simulate.optics import hrtem_images
from napari_gandenoise.simulate.resampling import crop_to_grid

__all__ = ["WaveSet", "wave_steps"]


def wave_steps(config: SimulationConfig, output: Path, device: torch.device | str | None = None) -> Steps[Path]:
    """Propagate through all structures of a set and keep the exit waves, one event a structure.

    Parameters
    ----------
    config : SimulationConfig
        Structure i is the one that `simulate_images` draws for the same config.  The imaging ranges, but for the
        energy, leave no trace in the waves, so that they may change afterwards.
    output : pathlib.Path
        Zarr group: ``waves`` ``(structures, Y, X)`` complex64, ``potentials`` float32, attributes with the config
        and the formulas of the finished structures.  An unfinished set of the same config is continued.
    device : torch.device or str, optional
        Where to compute; by default what ``config.device`` says, and the processor if that is auto.

    Yields
    ------
    Progress
        Stage "prepare"; nothing if all waves are there.

    Raises
    ------
    GanDenoiseError
        If ``output`` holds something else, or if ASE is not installed and waves are missing.
    """
    if output.exists():
        group = _open(output)
        if group is None or group.attrs.get("waves") != wave_identity(config):
            raise GanDenoiseError(f"{output} already holds other exit waves or something else: choose a new name.")
        formulas = list(group.attrs["formulas"])
    else:
        formulas = []
    if len(formulas) < config.structures:
        if missing := missing_extra():
            raise GanDenoiseError(missing)
        group = group if output.exists() else _create(config, output)
    for structure in range(len(formulas), config.structures):
        rng = np.random.default_rng((config.seed, structure))
        wave, formula = make_wave(config, rng, device_of(config, device))
        group["waves"][structure] = wave.waves[0].cpu().numpy()
        group["potentials"][structure] = wave.projected_potential[0].cpu().numpy()
        formulas.append(formula)
        # Written last: a set that was stopped half-way resumes after the last whole structure.
        group.attrs["formulas"] = formulas
        yield Progress("prepare", structure + 1, config.structures)
    return output


class WaveSet:
    """The finished exit waves of a set, and images made from them on demand.

    Parameters
    ----------
    config : SimulationConfig
        What the waves were made for, with the imaging ranges to draw from.
    path : pathlib.Path
        Zarr group that `wave_steps` wrote.

    Raises
    ------
    GanDenoiseError
        If waves are missing, or are those of another config.
    """

    def __init__(self, config: SimulationConfig, path: Path) -> None:
        self.config = config
        self.group = _open(path, "r")
        if self.group is None or self.group.attrs.get("waves") != wave_identity(config):
            raise GanDenoiseError(f"{path} does not hold the exit waves of this simulation: prepare them first.")
        finished = len(self.group.attrs["formulas"])
        if finished < config.structures:
            raise GanDenoiseError(f"{path} holds {finished} of {config.structures} exit waves: prepare the rest first.")

    def specimen(self, structure: int) -> ExitWaves:
        """Read the exit wave of a structure."""
        waves, potentials = (
            torch.from_numpy(np.asarray(self.group[name][structure])[None]) for name in ("waves", "potentials")
        )
        field_nm = self.config.shape * self.config.pixel_size_nm + 2 * MARGIN_NM
        return ExitWaves(waves, potentials, field_nm / waves.shape[-1])

    def image(self, specimen: ExitWaves, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw imaging conditions and return the image ``(Y, X)``, relative to vacuum, on the config's grid."""
        full = hrtem_images(specimen, [draw_conditions(self.config.imaging, rng)])
        image: NDArray[np.float32] = crop_to_grid(
            full, specimen.pixel_size_nm, self.config.pixel_size_nm, self.config.shape
        )[0].numpy()
        return image


def _open(path: Path, mode: Literal["r", "r+"] = "r+") -> Any:
    import zarr

    try:
        group = zarr.open_group(path, mode=mode)
    except (OSError, ValueError, KeyError):
        return None
    return group if "waves" in group else None


def _create(config: SimulationConfig, output: Path) -> Any:
    import zarr

    # Under a temporary name until it is whole: what is killed in between would belong to no config.
    unfinished = output.with_name(f".{output.name}.part")
    group = zarr.open_group(unfinished, mode="w")
    side = wave_pixels(config)
    for name, dtype in (("waves", "complex64"), ("potentials", "float32")):
        group.create_array(name, shape=(config.structures, side, side), chunks=(1, side, side), dtype=dtype)
    group.attrs["formulas"] = []
    group.attrs["waves"] = wave_identity(config)
    unfinished.rename(output)
    return _open(output)
