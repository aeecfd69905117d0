"""How long until a tile has the likelihood that the balanced preset gives it: our road and two plain ones.

Every road minimises the same objective, the main road's negative log posterior, for the same tiles of held-out frames
at their real dose.  The mark is what the encoder's proposal and the balanced preset's steps reach, tile by tile.

- *Adam from random latents*: one draw from the prior a tile, all tiles at once.
- *CSGM loop*: the same one tile at a time, Adam at 1e-2 for up to 2,500 steps, as Bora et al. (2017, "Compressed
  sensing using generative models") and the `CSGMGenerator` of deepinv do it.  Its stopping rule is left off: it could
  only stop short of the mark.
- *ours*: the encoder's proposal, then the steps of `refine`; what tiles that retire early save; and a faster rate.
- *L-BFGS*, *Fisher scoring*: second-order steps from the same proposal (`benchmarks.second_order`).

::

    python -m benchmarks.inversion_speed
    python -m benchmarks.inversion_speed --quick
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.heldout import CONTRASTS, DATA, QUICK, SIMULATION, heldout_frames
from benchmarks.heldout_tiles import draw_counts, expected_tiles
from benchmarks.record import RESULTS, write_result
from benchmarks.second_order import fisher_scoring, lbfgs
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.inversion.refine import Refined, refine
from napari_gandenoise.models import load_model

__all__ = ["main"]

PRESET = PRESETS["balanced"]
CSGM_RATE, CSGM_STEPS = 1e-2, 2500
ADAM_RATE = 0.1  # the best of the rates in benchmarks/optimisers.py
FAST_RATE = 0.8  # of `refine`: takes it to the best posterior in the preset's steps
NEAR = 0.1  # nats above the mark that still count as reaching it


class Run(NamedTuple):
    """What a road did to ``N`` tiles.

    Attributes
    ----------
    values : Tensor
        ``(E, N)``, negative log posterior at each evaluation, nats.
    latents : Tensor
        ``(N, d)``, where it ended.
    evaluations : int
        Of the network with its gradient, summed over tiles.
    seconds : float
        Of the processor, summed over tiles; the encoder included where it was asked.
    """

    values: Tensor
    latents: Tensor
    evaluations: int
    seconds: float


def _follow(road: Callable[[], Iterator[Refined]]) -> Run:
    """Run one road to its end."""
    values, started = [], time.process_time()
    for state in road():
        values.append(state.values.clone())
    return Run(torch.stack(values), state.latents, state.tile_steps, time.process_time() - started)


def _adam(objective: Objective, start: Tensor, steps: int, rate: float) -> Iterator[Refined]:
    """Plain Adam of one rate, on all tiles of the objective at once."""
    latents = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([latents], rate)
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        value = objective(latents)
        value.sum().backward()
        optimiser.step()
        yield Refined(latents.detach(), value.detach(), step, step * len(start))


def _csgm(objective: Objective, start: Tensor, steps: int) -> Run:
    """Plain Adam tile by tile, as the CSGM loop does it."""
    runs = [
        _follow(partial(_adam, objective.select(index), start[index], steps, CSGM_RATE))
        for index in tqdm(torch.arange(len(start)).split(1), desc="CSGM loop")
    ]
    values, latents, evaluations, seconds = zip(*runs, strict=True)
    return Run(torch.cat(values, dim=1), torch.cat(latents), sum(evaluations), sum(seconds))


def _encode(objective: Objective) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        proposal = objective.encode()
    assert proposal is not None, "the model has no encoder"
    return proposal


def _refined(objective: Objective, rate: float, gain: float) -> Iterator[Refined]:
    return refine(objective, *_encode(objective), PRESET.refine, rate, gain)


def _roads(objective: Objective, steps: int) -> Iterator[tuple[str, Run]]:
    """Yield every road's name and run; the first sets the mark."""
    start = objective.model.draw_latents((len(objective.mean),), torch.Generator().manual_seed(1))
    few = min(10, steps)
    yield "ours: encoder, refine", _follow(lambda: _refined(objective, PRESET.rate, 0.0))
    yield "ours, tiles retire", _follow(lambda: _refined(objective, PRESET.rate, PRESET.gain))
    yield f"encoder, refine at rate {FAST_RATE}", _follow(lambda: _refined(objective, FAST_RATE, 0.0))
    for evaluations in (few, PRESET.refine):
        name = f"encoder, L-BFGS, {evaluations} steps"
        yield name, _follow(lambda e=evaluations: lbfgs(objective, *_encode(objective), e))  # type: ignore[misc]
    name = f"encoder, Fisher scoring, {few} steps"
    yield name, _follow(lambda: fisher_scoring(objective, _encode(objective)[0], few))
    yield "random latents, Adam", _follow(lambda: _adam(objective, start, steps, ADAM_RATE))
    yield "random latents, CSGM loop", _csgm(objective, start, steps)


def measure(objective: Objective, truth: Tensor, steps: int) -> Iterator[dict[str, Any]]:
    """Yield a row for every road.

    Parameters
    ----------
    objective : Objective
        ``N`` tiles.
    truth : Tensor
        Their rate without noise, ``(N, 1, H, W)``.
    steps : int
        Most steps from random latents.
    """
    mark, reference = None, 0.0
    for road, run in _roads(objective, steps):
        mark = run.values[-1] if mark is None else mark
        reached = run.values <= mark + NEAR
        until = torch.where(reached.any(0), reached.int().argmax(0) + 1, len(run.values)).float()
        seconds = float(until.mean()) * run.seconds / run.evaluations
        reference = reference or seconds
        yield {
            "road": road,
            "tiles at the mark, %": float(100 * reached.any(0).float().mean()),
            "evaluations until then": float(until.median()),
            "seconds until then": seconds,
            "times ours": seconds / reference,
            "evaluations in all": run.evaluations / len(mark),
            "end above the mark, nats": float((run.values[-1] - mark).mean()),
            "PSNR at the end": _psnr(objective, run.latents, truth),
        }


@torch.no_grad()
def _psnr(objective: Objective, latents: Tensor, truth: Tensor) -> float:
    """Mean PSNR of the tiles' rates in dB, data range 1."""
    seen = objective.tiles.exposure > 0
    error = ((objective.rate(latents) - truth) * seen).square().sum((1, 2, 3)) / seen.sum((1, 2, 3))
    return float(-10 * error.log10().mean())


def main(
    model: Annotated[str, typer.Option(help="Name of a model, or path of a model file.")] = "hrtem",
    quick: Annotated[bool, typer.Option(help="Two tiles, few steps: checks that everything runs.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``inversion_speed.json`` and ``inversion_speed.md``."""
    torch.set_num_threads(1)
    simulation = QUICK if quick else SIMULATION
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            frames = heldout_frames(Path(scratch), config=QUICK, least=0)
    else:
        everything = heldout_frames(cache)
        frames = [frame for contrast in CONTRASTS for frame in [f for f in everything if f.contrast == contrast][:2]]
    loaded = load_model(model)
    expected = expected_tiles(loaded, frames, 1 if quick else 2, simulation.pixel_size_nm)
    objective = Objective.of(loaded, draw_counts(expected, 1.0, 7), 0.0)
    truth = expected.counts / expected.exposure.clamp(min=1)
    list(refine(objective, *_encode(objective), 2, PRESET.rate))  # warms up
    rows = list(measure(objective, truth, 20 if quick else CSGM_STEPS))
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), {len(objective.mean)} tiles of held-out frames, Poisson counts "
        "at their real dose. All roads minimise the same negative log posterior; the mark is what the encoder and "
        f"{PRESET.refine} steps of `refine` (balanced preset) reach, tile by tile, within {NEAR} nats. *Until then*: "
        "evaluations of the network with its gradient (median) and processor seconds a tile on one thread (mean); "
        "a tile that never gets there counts with the steps of the longest. A step of Fisher scoring counts as one "
        "evaluation and has a Jacobian of as many columns as there are latents. *In all* and *at the end*: the whole "
        "run, mean over tiles; PSNR of the tiles' rates in dB, data range 1."
    )
    typer.echo(write_result(results, "inversion_speed", "Time to the same likelihood", notes, rows))


if __name__ == "__main__":
    typer.run(main)
