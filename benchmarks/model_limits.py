"""What limits a model: its range, the search, or the evidence in the counts.

For each frame three inversions without the residual step are scored by PSNR:

- *range*: counts at a dose so high that noise does not matter.  What is missing here the generator cannot draw.
- *near*: the real counts, refined from the latents that the high dose has found.
- *search*: the real counts with the preset's own search.

What noise alone costs, the *evidence*, is range minus near; what a better search could gain is near minus search.

::

    python -m benchmarks.model_limits
    python -m benchmarks.model_limits --model runs/hrtem/hrtem.safetensors --per-contrast 1
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.heldout import CONTRASTS, DATA, NOISE_SEED, QUICK, SIMULATION, heldout_frames
from benchmarks.heldout import Frame as HeldOut
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.inversion.engine import LatentEngine
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.progress import drain
from napari_gandenoise.tiling import Frame, Grid, Latents, Tiles, lay_out, outside

__all__ = ["main"]

# About the highest dose the encoders are trained for; what noise it leaves costs a latent fit less than 50 dB.
HIGH_DOSE = 150
PRESET = "balanced"
LONG = replace(PRESETS[PRESET], refine=150, gain=0.0)
# One random latent beside the given start: the start wins wherever there is anything to see.
FROM_START = replace(LONG, angles=1, bank=0, random=1, propose=False, keep=1)


def limits(model: Model, frame: HeldOut, pixel_size_nm: float) -> dict[str, float]:
    """Return PSNR of the three inversions of a frame, dB."""
    if model.pixel_size_nm is None:
        raise GanDenoiseError(f"The model {model.name} has no pixel size: it is not for micrographs.")
    grid = Grid(frame.truth.shape, model.pixel_size_nm / pixel_size_nm)
    tiles = lay_out(grid, model.size, LONG.stride(model.size))
    many = np.random.default_rng((NOISE_SEED, frame.structure, 1)).poisson(HIGH_DOSE * frame.truth)
    counts = frame.counts.astype(np.float32)
    bright, drawn = _invert(model, tiles, LONG, many.astype(np.float32))
    searched, found = _invert(model, tiles, PRESETS[PRESET], counts)
    # Steps are taken in units of each latent's uncertainty, which belongs to the dose.
    near, _ = _invert(model, tiles, FROM_START, counts, Latents(drawn.values, found.spread, drawn.angles))
    rates = {"range": bright / HIGH_DOSE, "near": near, "search": searched}
    return {name: psnr(frame.truth, rate) for name, rate in rates.items()}


def _invert(
    model: Model, tiles: Tiles, preset: Preset, counts: NDArray[np.float32], start: Latents | None = None
) -> tuple[NDArray[np.float32], Latents]:
    engine = LatentEngine(model, tiles, preset, 64, torch.Generator().manual_seed(0))
    drawn = drain(engine.draw(Frame.of(counts, tiles.grid, torch.device("cpu")), start))
    assert drawn.latents is not None
    return outside(tiles.grid.fine(drawn.rate)), drawn.latents


def _row(contrast: str, measured: Sequence[dict[str, float]]) -> dict[str, Any]:
    drawn, near, search = (float(np.mean([one[name] for one in measured])) for name in ("range", "near", "search"))
    return {
        "contrast": contrast,
        "frames": len(measured),
        "range": drawn,
        "near the truth": near,
        "search": search,
        "evidence costs": drawn - near,
        "search costs": near - search,
    }


def main(
    model: Annotated[str, typer.Option(help="Name of a model, or path of a model file.")] = "hrtem",
    per_contrast: Annotated[int, typer.Option(help="Frames of each contrast class, the first ones.")] = 2,
    quick: Annotated[bool, typer.Option(help="Two small frames: checks that everything runs.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``model_limits.json`` and ``model_limits.md``."""
    simulation = QUICK if quick else SIMULATION
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            frames = heldout_frames(Path(scratch), config=QUICK, least=0)
    else:
        frames = heldout_frames(cache)
    classes = {contrast: [f for f in frames if f.contrast == contrast][:per_contrast] for contrast in CONTRASTS}
    loaded = load_model(model)
    chosen = [frame for members in classes.values() for frame in members]
    measured = {f.structure: limits(loaded, f, simulation.pixel_size_nm) for f in tqdm(chosen, desc="frames")}
    rows = [_row(name, [measured[f.structure] for f in members]) for name, members in classes.items() if members]
    rows.append(_row("all", list(measured.values())))
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), held-out frames as above, {PRESET} preset without the residual "
        f"step. PSNR in dB, data range 1: *range* from {HIGH_DOSE} times the dose, *near the truth* from the real "
        "counts started at the latents of the range, *search* from the real counts alone."
    )
    each = [{"structure": structure, **scores} for structure, scores in measured.items()]
    typer.echo(write_result(results, "model_limits", f"Limits of the model {loaded.name}", notes, rows, frames=each))


if __name__ == "__main__":
    typer.run(main)
