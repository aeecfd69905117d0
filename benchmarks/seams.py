"""Seams: whether the borders of tiles show, and whether tiles that agree with each other would do better.

Borders are where the nearest tile centre changes.  The figure is the mean squared gradient of an image on borders over
that elsewhere, relative to the same of the truth: 1 without seams.

::

    python -m benchmarks.seams            # ten minutes
    python -m benchmarks.seams --quick    # one small frame
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy import ndimage
from torch import Tensor
from tqdm import tqdm

from benchmarks.heldout import DATA, SIMULATION, few_frames, middle
from benchmarks.heldout import Frame as HeldOut
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.evaluation import nearest_tiles, psnr, seam_energy, tile_borders
from napari_gandenoise.inversion.engine import LatentEngine
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.models import load_model
from napari_gandenoise.progress import drain
from napari_gandenoise.residual import residual_step
from napari_gandenoise.tiling import Drawn, Frame, Grid, Latents, Tiles, bin_tiles, blend, lay_out, outside

__all__ = ["main"]

PRESET = PRESETS["balanced"]
SIDE = 600
JOINT_STEPS, JOINT_RATE = 30, 0.15


def butted(tiles: Tiles, rates: Tensor, angles: Tensor) -> Tensor:
    """Put tiles side by side without blending: each pixel from the nearest one, ``(C, Y, X)``."""
    nearest = torch.from_numpy(nearest_tiles(tiles))
    result = torch.zeros(rates.shape[1], *tiles.grid.sides)
    for tile in range(len(rates)):
        alone = replace(tiles, centres=tiles.centres[tile : tile + 1])
        drawn = blend(alone, rates[tile : tile + 1], angles[tile : tile + 1])
        result[:, nearest == tile] = drawn[:, nearest == tile]
    return result


def joint(tiles: Tiles, objective: Objective, found: Latents, grid: Tensor, exposure: Tensor) -> Tensor:
    """Go on from the latents of all tiles, under the likelihood of the blended image; return it, ``(C, Y, X)``."""
    latents = found.values.clone()
    first, second = torch.zeros_like(latents), torch.zeros_like(latents)
    for step in range(1, JOINT_STEPS + 1):
        z = latents.requires_grad_(True)
        image = blend(tiles, objective.rate(z), found.angles).clamp(min=1e-3)
        value = (exposure * image - grid * image.log()).sum() + objective.model.prior_cost(z).sum()
        (gradient,) = torch.autograd.grad(value, z)
        gradient = gradient * found.spread
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient.square()
        move = first / (1 - 0.9**step) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
        latents = (z - JOINT_RATE * found.spread * move).detach()
    return blend(tiles, objective.rate(latents), found.angles)


def measure(frame: HeldOut, side: int) -> list[dict[str, Any]]:
    """Seams and PSNR of one frame put together in four ways."""
    model = load_model("hrtem")
    truth, counts = middle(frame.truth, side), middle(frame.counts, side).astype(np.float32)
    assert model.pixel_size_nm is not None
    grid = Grid(truth.shape, model.pixel_size_nm / SIMULATION.pixel_size_nm)
    tiles = lay_out(grid, model.size, PRESET.stride(model.size))
    engine = LatentEngine(model, tiles, PRESET, 64, torch.Generator().manual_seed(0))
    electrons = Frame.of(counts, grid, torch.device("cpu"))
    drawn: Drawn = drain(engine.draw(electrons))
    found, (sums, exposure) = drawn.latents, electrons.sums
    assert found is not None
    with torch.no_grad():
        everything = torch.arange(len(tiles.centres))
        objective = Objective.of(model, bin_tiles(electrons, tiles, everything, found.angles), 0.0)
        rates = objective.rate(found.values)
        images = {"side by side": butted(tiles, rates, found.angles), "blended": drawn.rate}
    images["blended, tiles made to agree"] = joint(tiles, objective, found, sums, exposure).detach()
    images["blended, residual step"] = drain(residual_step(sums[0], exposure, drawn.rate[0], 0.0))[None]
    borders = tile_borders(tiles)
    own = seam_energy(ndimage.zoom(truth, 1 / grid.summed, order=1, grid_mode=True, mode="nearest"), borders)
    return [
        {
            "tiles are put": name,
            "seams": seam_energy(image[0].numpy(), borders) / own,
            "PSNR": psnr(truth, outside(grid.fine(image))),
        }
        for name, image in images.items()
    ]


def main(
    quick: Annotated[bool, typer.Option(help="One small frame.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``seams.json`` and ``seams.md``."""
    frames = few_frames(cache, quick)
    side = 300 if quick else SIDE
    scored = [row for frame in tqdm(frames, desc="frames") for row in measure(frame, side)]
    rows = []
    for name in dict.fromkeys(row["tiles are put"] for row in scored):
        own = [row for row in scored if row["tiles are put"] == name]
        rows.append({"tiles are put": name} | {key: float(np.mean([r[key] for r in own])) for key in ("seams", "PSNR")})
    notes = (
        f"{len(frames)} held-out frames, the middle {side} x {side} pixels, balanced preset. *Seams*: gradient energy "
        "where the nearest tile changes over that elsewhere, relative to the truth's; 1 is none. *Made to agree*: "
        f"{JOINT_STEPS} more steps for all tiles at once, under the likelihood of the blended image. PSNR in dB, data "
        "range 1, rate in electrons per pixel."
    )
    typer.echo(write_result(results, "seams", "Seams between tiles", notes, rows))


if __name__ == "__main__":
    typer.run(main)
