"""Which optimiser finds latents: the optimiser study of the microscopy project, and its two observations as numbers.

*Test 1*: images that the generator has drawn are to be found again.  *Test 2*: tiles of held-out frames, which it
cannot draw, are to be met as closely as it can.  Both without noise, with the study's squared error, from one latent a
tile that is drawn from the prior: the same for all, so that the optimiser alone makes the difference.

The study saw that restarts end in images that look alike, and so do inversions of one image at several noise levels.
Here each is a correlation, from Poisson counts and with the posterior that the main road uses.

::

    python -m benchmarks.optimisers
    python -m benchmarks.optimisers --quick
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.heldout import CONTRASTS, DATA, QUICK, SIMULATION, Frame, heldout_frames
from benchmarks.heldout_tiles import draw_counts, expected_tiles
from benchmarks.record import RESULTS, write_result
from benchmarks.second_order import lbfgs
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.tiling import TileCounts

__all__ = ["main"]

BRIGHT = 1000  # times the dose: contrast and level are then known
FOUND = 1.0  # per cent of a tile's variance that may be left of an image that was found again
TILES = (1, 2, 3)
DOSES = (0.1, 0.3, 1.0, 3.0, 10.0)
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda done: 1 - 0.9 * done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
# SGD follows the gradient as it is, so that its rates are in units of the error's curvature; the others normalise it.
RATES = {"SGD, momentum 0.9": (0.1, 1.0, 10.0), "RMSprop": (0.01, 0.03, 0.1), "Adam": (0.01, 0.1, 0.3, 1.0)}

Cost = Callable[[Tensor], Tensor]


class Descent(NamedTuple):
    """Where a descent ended: latents ``(N, d)``, evaluations of the network a tile, processor seconds a tile."""

    latents: Tensor
    evaluations: float
    seconds: float


def first_order(name: str, rate: float, schedule: str, cost: Cost, start: Tensor, evaluations: int) -> Descent:
    """Run one of torch's optimisers on all tiles at once: what it does to one tile knows nothing of the others."""
    latents = start.clone().requires_grad_(True)
    optimiser: torch.optim.Optimizer
    match name:
        case "SGD, momentum 0.9":
            optimiser = torch.optim.SGD([latents], rate, momentum=0.9)
        case "RMSprop":
            optimiser = torch.optim.RMSprop([latents], rate)
        case _:
            optimiser = torch.optim.Adam([latents], rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: SCHEDULES[schedule](step / evaluations))
    started = time.process_time()
    for _ in range(evaluations):
        optimiser.zero_grad()
        cost(latents).sum().backward()
        optimiser.step()
        scheduler.step()
    return Descent(latents.detach(), evaluations, (time.process_time() - started) / len(start))


def _lbfgs(search: str | None, cost_of: Callable[[int], Cost], start: Tensor, evaluations: int) -> Descent:
    """Run torch's L-BFGS tile by tile: its memory and its line search belong to one function."""
    found, spent, started = [], 0, time.process_time()
    for index in range(len(start)):
        latent = start[index : index + 1].clone().requires_grad_(True)
        optimiser = torch.optim.LBFGS(
            [latent], max_iter=evaluations, max_eval=evaluations, history_size=10, line_search_fn=search,
            tolerance_grad=0.0, tolerance_change=0.0,
        )  # fmt: skip
        cost = cost_of(index)

        def closure(latent: Tensor = latent, cost: Cost = cost) -> Tensor:
            latent.grad = None
            value = cost(latent).sum()
            value.backward()
            return value

        optimiser.step(closure)
        spent += optimiser.state[latent]["func_evals"]
        found.append(latent.detach())
    return Descent(torch.cat(found), spent / len(start), (time.process_time() - started) / len(start))


def squared_error(objective: Objective) -> Cost:
    """Squared error over the tile's own variance, ``(N,)``: 1 for a flat tile."""
    exposure = objective.tiles.exposure
    image = objective.tiles.counts / exposure.clamp(min=1)
    variance = ((image - objective.mean) * (exposure > 0)).square().sum(TILES)
    return lambda latents: ((objective.rate(latents) - image) * (exposure > 0)).square().sum(TILES) / variance


def _of_tile(objective: Objective, index: int) -> Cost:
    return squared_error(objective.select(torch.tensor([index])))


def drawn_tiles(model: Model, count: int) -> Objective:
    """Test 1: images the generator has drawn; their contrast is known, as it was in the study."""
    latents = model.draw_latents((count,), torch.Generator().manual_seed(5))
    level, contrast = 450.0, 0.4
    exposure = 16 * (tile_mask(model.header.pose, model.size, latents.device) > 0.5).float().expand(count, 1, -1, -1)
    with torch.no_grad():
        counts = exposure * level * (1 + contrast * model.render(latents))
    swing = torch.full((count, 1, 1, 1), level * contrast)
    return replace(Objective.of(model, TileCounts(counts, exposure), 0.0), swing=swing)


def compare(tests: list[Objective], evaluations: int) -> Iterator[dict[str, Any]]:
    """Yield a row for every optimiser, learning rate and schedule."""
    starts = [o.model.draw_latents((len(o.mean),), torch.Generator().manual_seed(6)) for o in tests]
    cases = [(name, rate, schedule) for name in RATES for rate, schedule in product(RATES[name], SCHEDULES)]
    for name, rate, schedule in cases:
        runs = [
            first_order(name, rate, schedule, squared_error(objective), start, evaluations)
            for objective, start in zip(tests, starts, strict=True)
        ]
        yield _row(name, rate, schedule, tests, runs)
    runs = []
    for objective, start in zip(tests, starts, strict=True):
        started = time.process_time()
        *_, state = lbfgs(squared_error(objective), start, torch.ones_like(start), evaluations)
        runs.append(Descent(state.latents, evaluations, (time.process_time() - started) / len(start)))
    yield _row("L-BFGS, all tiles at once", 1.0, "step taken back if worse", tests, runs)
    for search in (None, "strong_wolfe"):
        runs = [
            _lbfgs(search, partial(_of_tile, objective), start, evaluations)
            for objective, start in zip(tests, starts, strict=True)
        ]
        yield _row("L-BFGS", 1.0, "line search" if search else "constant", tests, runs)


def _row(name: str, rate: float, schedule: str, tests: list[Objective], runs: list[Descent]) -> dict[str, Any]:
    with torch.no_grad():
        # A latent that has run off to infinity draws nothing.
        left = [100 * torch.nan_to_num(squared_error(o)(run.latents), 1e3) for o, run in zip(tests, runs, strict=True)]
    return {
        "optimiser": name,
        "learning rate": f"{rate:g}",
        "schedule": schedule,
        "1: left, %": float(left[0].median()),
        "1: found, %": float(100 * (left[0] < FOUND).float().mean()),
        "2: left, %": float(left[1].median()),
        "evaluations a tile": sum(run.evaluations for run in runs) / len(runs),
        "seconds a tile": sum(run.seconds for run in runs) / len(runs),
    }


class Images(NamedTuple):
    """Inversions of the same tiles: rates in units of the dose, ``(R, N, C, H, W)``, and values ``(R, N)``, nats."""

    rates: Tensor
    values: Tensor


def restarts(model: Model, counts: TileCounts, dose: float, count: int, steps: int) -> Images:
    """Minimise the main road's objective from ``count`` random latents a tile."""
    objective = Objective.of(model, counts, 0.0)
    ends = []
    for seed in range(count):
        start = model.draw_latents((len(counts.counts),), torch.Generator().manual_seed(100 + seed))
        *_, state = refine(objective, start, torch.ones_like(start), steps, 0.1)
        ends.append(state.latents)
    with torch.no_grad():
        rates = [objective.rate(z) / dose for z in ends]
        values = [objective(z) for z in ends]
    return Images(torch.stack(rates), torch.stack(values))


def main_road(model: Model, counts: TileCounts, dose: float) -> Tensor:
    """Rates that the encoder's proposal and the balanced preset's steps give, in units of the dose."""
    objective, preset = Objective.of(model, counts, 0.0), PRESETS["balanced"]
    with torch.no_grad():
        proposal = objective.encode()
    assert proposal is not None, "the model has no encoder"
    *_, state = refine(objective, *proposal, preset.refine, preset.rate)
    with torch.no_grad():
        return objective.rate(state.latents) / dose


def correlation(one: Tensor, other: Tensor, exposure: Tensor) -> Tensor:
    """Correlation of rates ``(N, C, H, W)`` over the part of each tile that was exposed, ``(N,)``."""
    seen = (exposure > 0).float()

    def centred(image: Tensor) -> Tensor:
        return (image - (image * seen).sum(TILES, keepdim=True) / seen.sum(TILES, keepdim=True)) * seen

    a, b = centred(one), centred(other)
    return (a * b).sum(TILES) / (a.square().sum(TILES) * b.square().sum(TILES)).clamp(min=1e-12).sqrt()


def alike(model: Model, expected: TileCounts, count: int, steps: int) -> list[dict[str, Any]]:
    """Return a row for each dose: how alike restarts are, and how close to the highest dose and to the truth."""
    drawn = {dose: draw_counts(expected, dose, 7) for dose in DOSES}
    runs = {dose: restarts(model, counts, dose, count, steps) for dose, counts in tqdm(drawn.items(), desc="doses")}
    truth = expected.counts / expected.exposure.clamp(min=1)
    highest = _best(runs[DOSES[-1]])
    rows = []
    for dose, run in runs.items():
        pairs = list(combinations(range(count), 2))
        between = torch.stack([correlation(run.rates[i], run.rates[j], expected.exposure) for i, j in pairs])
        apart = torch.stack([_psnr(run.rates[i], run.rates[j], expected.exposure) for i, j in pairs])
        best, road = _best(run), main_road(model, drawn[dose], dose)
        rows.append(
            {
                "dose": dose,
                "restarts: correlation": float(between.median()),
                "least": float(between.min()),
                "restarts: PSNR": float(apart.median()),
                "spread, nats": float(run.values.std(dim=0).median()),
                "best to that at the highest dose": float(correlation(best, highest, expected.exposure).median()),
                "best to the truth": float(correlation(best, truth, expected.exposure).median()),
                "mean to the truth": float(correlation(run.rates.mean(0), truth, expected.exposure).median()),
                "main road to the truth": float(correlation(road, truth, expected.exposure).median()),
            }
        )
    return rows


def _best(run: Images) -> Tensor:
    """Rates of the restart with the best posterior, tile by tile."""
    return run.rates[run.values.argmin(dim=0), torch.arange(run.rates.shape[1])]


def _psnr(one: Tensor, other: Tensor, exposure: Tensor) -> Tensor:
    """PSNR between two images in dB, data range 1 electron per pixel, ``(N,)``."""
    seen = exposure > 0
    error = ((one - other) * seen).square().sum(TILES) / seen.sum(TILES)
    return -10 * error.clamp(min=1e-12).log10()


def _first_of_each(frames: list[Frame], count: int) -> list[Frame]:
    classes = [[f for f in frames if f.contrast == contrast][:count] for contrast in CONTRASTS]
    return [frame for members in classes for frame in members]


def main(
    model: Annotated[str, typer.Option(help="Name of a model, or path of a model file.")] = "hrtem",
    evaluations: Annotated[int, typer.Option(help="Evaluations of the network with its gradient, a tile.")] = 200,
    quick: Annotated[bool, typer.Option(help="Few tiles and steps: checks that everything runs.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``optimisers.json`` and ``optimisers_alike.json`` with their tables."""
    torch.set_num_threads(1)
    simulation, each, count, steps = (QUICK, 1, 2, 5) if quick else (SIMULATION, 2, 4, 200)
    evaluations = 5 if quick else evaluations
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            frames = heldout_frames(Path(scratch), config=QUICK, least=0)
    else:
        frames = _first_of_each(heldout_frames(cache), 2)
    loaded = load_model(model)
    expected = expected_tiles(loaded, frames, each, simulation.pixel_size_nm)
    bright = TileCounts(BRIGHT * expected.counts, expected.exposure)
    tests = [drawn_tiles(loaded, len(expected.counts)), Objective.of(loaded, bright, 0.0)]
    total = sum(len(rates) * len(SCHEDULES) for rates in RATES.values()) + 3
    rows = list(tqdm(compare(tests, evaluations), total=total, desc="optimisers"))
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), {len(expected.counts)} tiles in each test, no noise, one start "
        "from the prior. *Test 1* finds images again that the generator has drawn, *test 2* meets tiles of held-out "
        f"frames. *Left*: squared error over the tile's variance, median; *found*: tiles with less than {FOUND:g} % "
        "left. An evaluation is one pass of the network and back. Seconds are those of the processor, one thread; "
        "torch's L-BFGS, in the last two rows, works tile by tile, the others on all tiles at once, which is faster."
    )
    typer.echo(write_result(results, "optimisers", "Optimisers", notes, rows))
    notes = (
        f"The same held-out tiles, now Poisson counts at 0.1 to 10 times their dose; {count} random starts, {steps} "
        "steps of Adam at 0.1 on the main road's objective. Correlation of the rates, median over tiles (*restarts*: "
        "over tiles and pairs of starts, and the least of all); PSNR between restarts with the rate in units of the "
        "dose, data range 1, dB; *spread*: standard deviation of the negative log posterior over restarts. *Best*: "
        "the start that ends with the best posterior, *mean*: the mean image of all starts; *main road*: the "
        "encoder's one start and the balanced preset's steps."
    )
    rows = alike(loaded, expected, count, steps)
    typer.echo(write_result(results, "optimisers_alike", "How alike results are", notes, rows))


if __name__ == "__main__":
    typer.run(main)
