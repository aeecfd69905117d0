"""How long until a tile has the likelihood that the balanced preset gives it: our road and two plain ones.

Every road minimises the same objective, the main road's negative log posterior, for the same tiles of held-out frames
at their real dose.  The mark is what the encoder's proposal and the balanced preset's steps reach, tile by tile.

- *Adam from random latents*: one draw from the prior a tile, all tiles at once.
- *CSGM loop*: the same one tile at a time, Adam at 1e-2 for up to 2,500 steps, as Bora et al. (2017, "Compressed
  sensing using generative models") and the `CSGMGenerator` of deepinv do it.  Its stopping rule is left off: it could
  only stop short of the mark.
- *ours*: the encoder's proposal, then the steps of `refine`; and the same at a faster rate.
- *L-BFGS*, *Fisher scoring*: second-order steps from the same proposal (`benchmarks.second_order`).

A second table shows what is saved by tiles that retire early, on all tiles of a few frames: there are many with nothing
but vacuum in them.

::

    python -m benchmarks.inversion_speed
    python -m benchmarks.inversion_speed --quick
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.heldout import CONTRASTS, DATA, QUICK, SIMULATION, Frame, heldout_frames
from benchmarks.heldout_tiles import draw_counts, expected_tiles
from benchmarks.record import RESULTS, write_result
from benchmarks.second_order import fisher_scoring, lbfgs
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.inversion.refine import Refined, refine
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.tiling import TileCounts

__all__ = ["main"]

PRESET = PRESETS["balanced"]
CSGM_RATE, CSGM_STEPS = 1e-2, 2500
ADAM_RATE = 0.3  # the best of the rates in benchmarks/optimisers.py
FAST_RATE = 0.8  # of `refine`: takes it to the best posterior in the preset's steps
EVERY = 10_000  # tiles of a frame: more than there are
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


def _refined(objective: Objective, preset: Preset, gain: float = 0.0) -> Iterator[Refined]:
    return refine(objective, *_encode(objective), preset.refine, preset.rate, gain)


def _roads(objective: Objective, steps: int) -> Iterator[tuple[str, Run]]:
    """Yield every road's name and run; the first sets the mark."""
    start = objective.model.draw_latents((len(objective.mean),), torch.Generator().manual_seed(1))
    few = min(10, steps)
    yield "ours: encoder, refine", _follow(lambda: _refined(objective, PRESET))
    yield f"encoder, refine at rate {FAST_RATE}", _follow(lambda: _refined(objective, replace(PRESET, rate=FAST_RATE)))
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
    proposed, spread = _encode(objective)
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
            "end from the proposal": float(((run.latents - proposed) / spread).square().mean().sqrt()),
            "PSNR at the end": _psnr(objective, run.latents, truth),
        }


def retirement(frames: list[tuple[Objective, Tensor]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each preset with retirement and without.

    Parameters
    ----------
    frames : list of tuple
        For each frame the objective of all its tiles and their rate without noise.
    """
    for name in ("balanced", "thorough"):
        preset, tiles = PRESETS[name], sum(len(truth) for _, truth in frames)
        everything = [_follow(partial(_refined, objective, preset)) for objective, _ in frames]
        for gain, runs in (
            (0.0, everything),
            (preset.gain, [_follow(partial(_refined, objective, preset, preset.gain)) for objective, _ in frames]),
        ):
            lost = [run.values[-1] - best.values[-1] for run, best in zip(runs, everything, strict=True)]
            yield {
                "steps of": name,
                "retire below, nats": gain,
                "evaluations a tile": sum(run.evaluations for run in runs) / tiles,
                "seconds a tile": sum(run.seconds for run in runs) / tiles,
                "lost, nats": float(torch.cat(lost).mean()),
                "PSNR at the end": sum(
                    _psnr(objective, run.latents, truth) * len(truth)
                    for (objective, truth), run in zip(frames, runs, strict=True)
                )
                / tiles,
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
    """Measure and write ``inversion_speed.json`` and ``inversion_retirement.json`` with their tables."""
    torch.set_num_threads(1)
    simulation = QUICK if quick else SIMULATION
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            frames = heldout_frames(Path(scratch), config=QUICK, least=0)
    else:
        everything = heldout_frames(cache)
        frames = [frame for contrast in CONTRASTS for frame in [f for f in everything if f.contrast == contrast][:2]]
    loaded = load_model(model)
    chosen = expected_tiles(loaded, frames, 1 if quick else 2, simulation.pixel_size_nm)
    objective, truth = _noisy(loaded, chosen)
    list(refine(objective, *_encode(objective), 2, PRESET.rate))  # warms up
    rows = list(measure(objective, truth, 20 if quick else CSGM_STEPS))
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), {len(objective.mean)} tiles of held-out frames, Poisson counts "
        "at their real dose. All roads minimise the same negative log posterior; the mark is what the encoder and "
        f"{PRESET.refine} steps of `refine` (balanced preset) reach, tile by tile, within {NEAR} nats. *Until then*: "
        "evaluations of the network with its gradient (median) and processor seconds a tile on one thread (mean); "
        "a tile that never gets there counts with the steps of the longest. A step of Fisher scoring counts as one "
        "evaluation and has a Jacobian of as many columns as there are latents. *In all* and *at the end*: the whole "
        "run, mean over tiles; root mean square distance from the encoder's proposal in units of its spread; PSNR of "
        "the tiles' rates in dB, data range 1."
    )
    typer.echo(write_result(results, "inversion_speed", "Time to the same likelihood", notes, rows))
    write_retirement(loaded, frames[:: 1 if quick else 2], simulation.pixel_size_nm, results)


def write_retirement(model: Model, frames: list[Frame], pixel_size_nm: float, results: Path) -> None:
    """Measure what tiles save that retire, on all tiles of some frames, and write the table."""
    whole = [_noisy(model, expected_tiles(model, [frame], EVERY, pixel_size_nm)) for frame in frames]
    rows = list(retirement(whole))
    notes = (
        f"All tiles of {len(whole)} held-out frames, {sum(len(truth) for _, truth in whole)} in all, from the "
        "encoder's proposal with the steps of two presets. A tile retires when ten steps gain less than the preset "
        "allows; *lost*: what that costs its negative log posterior, mean over tiles. Processor seconds on one thread, "
        "the encoder included; PSNR of the tiles' rates in dB, data range 1, mean."
    )
    typer.echo(write_result(results, "inversion_retirement", "What is saved by tiles that retire", notes, rows))


def _noisy(model: Model, expected: TileCounts) -> tuple[Objective, Tensor]:
    """Objective of counts at the frames' own dose, and the rate they were drawn from."""
    return Objective.of(model, draw_counts(expected, 1.0, 7), 0.0), expected.counts / expected.exposure.clamp(min=1)


if __name__ == "__main__":
    typer.run(main)
