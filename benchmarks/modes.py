"""Every mode of microscopy: our models beside classical denoisers and the peer's networks, on the peer's own pairs.

Nobody trains or tunes on these pairs.  The first run downloads 189 MB into the user's cache (`benchmarks.peer`), and
``--peer`` as much again, for TensorFlow::

    python -m benchmarks.modes --peer
    python -m benchmarks.modes --models hrtem-unet,runs/general/general.safetensors
    python -m benchmarks.modes --quick    # small drawn pairs instead, nothing downloaded

Beside these pairs stand frames of our own, of six materials that no model has met (`benchmarks.materials`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import typer
from numpy.typing import NDArray
from skimage import data
from skimage.restoration import estimate_sigma
from tqdm import tqdm

from benchmarks.heldout import middle
from benchmarks.materials import CRYSTALS, DOSES, PIXEL_NM, exposed
from benchmarks.memory import peak_gb
from benchmarks.peer import MODES, environment, read_frames, read_pairs, restore
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import OracleChoice, bm3d, closest_to_truth, gaussian_blur, nlm, oracle_bin
from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import Columns, psnr, ssim
from napari_gandenoise.micrograph import Micrograph, NoiseModel
from napari_gandenoise.models import AnyModel, DirectModel, list_models, load_model
from napari_gandenoise.noise import calibrate
from napari_gandenoise.settings.noise import Gaussian, Poisson
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.simulate.samples import sample_micrograph

__all__ = [
    "Method",
    "Outcome",
    "Pairs",
    "classical_methods",
    "main",
    "mean_rows",
    "our_methods",
    "regret",
    "run_all",
    "write_tables",
]

Image = NDArray[np.floating[Any]]

BLURS = tuple(np.geomspace(0.3, 12, 20).round(2).tolist())  # pixels
STRENGTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)  # of the root mean square of what was added to the truth
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")  # in colour, of everyday things, brought by scikit-image
SIGMAS = (15, 25, 50)
WHITE = 255.0
SIDE, QUICK_SIDE = 1200, 96
FRAME, QUICK_FRAME = 384, 96  # pixels a side of frames of our own
BINS = tuple(range(1, 9))
PIECE = 160  # pixels a side of a panel of the figure
FIGURE, COLOURS = Path("docs/images/modes.webp"), Path("docs/images/colour.webp")
NOISY, BEST_BM3D, BEST_BINNED, PEER = "noisy", "BM3D, best σ", "BM3D, best bin", "peer (tk_r_em)"
COLOUR_BM3D = "colour BM3D"
OURS = "ours, "
AUTOMATIC = f"{OURS}auto"


class Pairs(NamedTuple):
    """Noisy images of one kind with their truth.

    Attributes
    ----------
    mode : str
        Column of the table.
    noisy, clean : sequence of ndarray
        ``(Y, X)``, or ``(Y, X, 3)`` in colour; one unit.
    network : str or None
        The peer's network for them.
    data_range : float or None
        Peak of PSNR and SSIM; by default what each clean image spans.
    noise : NoiseModel or None
        What methods are told of the noise; by default nothing.
    pixel_size_nm : float or None
        What our models are told of the sampling; by default nothing.
    """

    mode: str
    noisy: Sequence[Image]
    clean: Sequence[Image]
    network: str | None = None
    data_range: float | None = None
    noise: NoiseModel | None = None
    pixel_size_nm: float | None = None


class Method(NamedTuple):
    """A row of the tables: makes an estimate of every noisy image; raises `GanDenoiseError` for what it refuses."""

    name: str
    run: Callable[[Pairs], Sequence[Image]]


class Score(NamedTuple):
    """One method on one pair."""

    method: str
    mode: str
    pair: int
    psnr: float
    ssim: float


class Outcome(NamedTuple):
    """What methods reached.

    Attributes
    ----------
    scores : list of Score
        Of every method on every pair that it did not refuse.
    refused : dict
        ``(method, mode)`` to the sentence of the refusal.
    first : dict
        ``(method, mode)`` to the estimate of the first pair.
    """

    scores: list[Score]
    refused: dict[tuple[str, str], str]
    first: dict[tuple[str, str], Image]


# --- methods -----------------------------------------------------------------------------------------------------


def one_by_one(name: str, run: Callable[[Image, Image, Pairs], Image]) -> Method:
    """Make a row of what takes a noisy image, its truth (for oracles alone) and what is told of them."""

    def over(pairs: Pairs) -> list[Image]:
        return [run(noisy, clean, pairs) for noisy, clean in zip(pairs.noisy, pairs.clean, strict=True)]

    return Method(name, over)


def classical_methods() -> list[Method]:
    """List the classical rows; what is named best looks at the truth, which no user has."""
    return [
        one_by_one(NOISY, lambda noisy, clean, pairs: noisy),  # noqa: ARG005 - all rows have the same arguments
        one_by_one("Gaussian blur, best σ", _best_blur),
        one_by_one("NLM, σ estimated", partial(_estimated, nlm)),
        one_by_one("NLM, best σ", partial(_best, nlm)),
        one_by_one("BM3D, noise calibrated", _calibrated_bm3d),
        one_by_one("BM3D, σ estimated", partial(_estimated, bm3d)),
        one_by_one(BEST_BM3D, partial(_best, bm3d)),
    ]


def photograph_methods() -> list[Method]:
    """List the classical rows for colours, which are told the noise, as our models are."""
    return [
        one_by_one(NOISY, lambda noisy, clean, pairs: noisy),  # noqa: ARG005 - all rows have the same arguments
        one_by_one("Gaussian blur, best σ", _best_blur),
        one_by_one("NLM", partial(_told, nlm)),
        one_by_one(COLOUR_BM3D, partial(_told, bm3d)),
    ]


def material_methods() -> list[Method]:
    """List the classical rows for counts: BM3D is told that they are, and has its best bin factor."""
    return [
        one_by_one(NOISY, lambda noisy, clean, pairs: noisy),  # noqa: ARG005 - all rows have the same arguments
        one_by_one("Gaussian blur, best σ", _best_blur),
        one_by_one(BEST_BINNED, lambda noisy, clean, pairs: oracle_bin(bm3d, noisy, clean, BINS).rate),  # noqa: ARG005
    ]


def _best_blur(noisy: Image, clean: Image, pairs: Pairs) -> Image:  # noqa: ARG001
    return closest_to_truth(partial(gaussian_blur, noisy), clean, BLURS).rate


def _estimated(method: Callable[..., Image], noisy: Image, clean: Image, pairs: Pairs) -> Image:  # noqa: ARG001
    """Denoise with the standard deviation that the finest wavelets show, as most users of BM3D do."""
    return method(noisy, noise=Gaussian(sigma=float(estimate_sigma(noisy))))  # type: ignore[no-untyped-call]


def _best(method: Callable[..., Image], noisy: Image, clean: Image, pairs: Pairs) -> Image:  # noqa: ARG001
    added = float(np.sqrt(np.square(noisy - clean).mean()))

    def run(strength: float) -> NDArray[np.float32]:
        return np.asarray(method(noisy, noise=Gaussian(sigma=strength * added)), np.float32)

    choice: OracleChoice = closest_to_truth(run, clean, STRENGTHS)
    return choice.rate


def _calibrated_bm3d(noisy: Image, clean: Image, pairs: Pairs) -> Image:  # noqa: ARG001
    return bm3d(noisy, noise=pairs.noise or calibrate(noisy).noise)


def _told(method: Callable[..., Image], noisy: Image, clean: Image, pairs: Pairs) -> Image:  # noqa: ARG001
    return method(noisy, noise=pairs.noise)


def our_methods(models: Sequence[str]) -> list[Method]:
    """List a row a model, by name or path, as `denoise` runs it without any other setting."""
    return [one_by_one(_ours(model), partial(_denoise, model)) for model in models]


def told_methods(models: Sequence[str]) -> list[Method]:
    """List rows of models that estimate the noise and are told instead: by the usual estimate, or the best by truth."""
    estimating = [m for m in models if m != AUTO and _estimates(load_model(m))]
    ways: dict[str, Callable[..., Image]] = {"σ estimated": _told_estimate, "best σ": _told_best}
    return [
        one_by_one(f"{_ours(model)}, {name}", partial(way, model)) for model in estimating for name, way in ways.items()
    ]


def _estimates(model: AnyModel) -> bool:
    return isinstance(model, DirectModel) and "estimated" in model.header.architecture.conditions


def _told_estimate(model: str, noisy: Image, clean: Image, pairs: Pairs) -> Image:
    return _denoise(model, noisy, clean, pairs, float(estimate_sigma(noisy) / noisy.std()))  # type: ignore[no-untyped-call]


def _told_best(model: str, noisy: Image, clean: Image, pairs: Pairs) -> Image:
    added = float(np.sqrt(np.square(noisy - clean).mean()) / noisy.std())

    def run(strength: float) -> NDArray[np.float32]:
        return np.asarray(_denoise(model, noisy, clean, pairs, strength * added), np.float32)

    choice: OracleChoice = closest_to_truth(run, clean, STRENGTHS)
    return choice.rate


def _ours(model: str) -> str:
    return OURS + (Path(model).stem if os.sep in model else model)


def _denoise(model: str, noisy: Image, clean: Image, pairs: Pairs, strength: float | None = None) -> Image:  # noqa: ARG001
    image = Micrograph(noisy, pixel_size_nm=pairs.pixel_size_nm, rgb=noisy.ndim == 3, noise=pairs.noise)
    return denoise(image, model=model, strength=strength, **({"white": WHITE} if image.rgb else {})).rate


def _peer(pairs: Pairs) -> Sequence[Image]:
    if pairs.network is None:
        raise GanDenoiseError("The peer has no network for such images.")
    return restore(pairs.network, np.stack(pairs.noisy)).images


# --- scores ------------------------------------------------------------------------------------------------------


def run_all(methods: Sequence[Method], kinds: Sequence[Pairs]) -> Outcome:
    """Run every method on every kind of pairs; nothing is clipped."""
    outcome = Outcome([], {}, {})
    for pairs in tqdm(kinds, desc="kinds"):
        for method in methods:
            try:
                estimates = method.run(pairs)
            except GanDenoiseError as refusal:
                outcome.refused[method.name, pairs.mode] = str(refusal)
                continue
            outcome.first[method.name, pairs.mode] = estimates[0]
            for index, (clean, estimate) in enumerate(zip(pairs.clean, estimates, strict=True)):
                span = pairs.data_range or float(np.ptp(clean))
                quality = psnr(clean, estimate, span), ssim(clean, estimate, span)
                outcome.scores.append(Score(method.name, pairs.mode, index, *quality))
    return outcome


def mean_rows(outcome: Outcome, methods: Sequence[Method], kinds: Sequence[Pairs]) -> list[dict[str, Any]]:
    """Mean PSNR of each method in each mode, the mean of these, and what was refused."""
    rows = []
    for method, _ in methods:
        row: dict[str, Any] = {"method": method}
        row |= {pairs.mode: _mean(_of(outcome, method, pairs.mode), "psnr") for pairs in kinds}
        found = [row[pairs.mode] for pairs in kinds]
        row["mean"] = None if None in found else float(np.mean(found))
        said = dict.fromkeys(outcome.refused[key] for key in outcome.refused if key[0] == method)
        rows.append(row | {"refused": " ".join(said) or None})
    return rows


def frame_rows(outcome: Outcome, methods: Sequence[Method], kinds: Sequence[Pairs]) -> list[dict[str, Any]]:
    """One row a mode and method: mean, least and most PSNR over the pairs, mean SSIM."""
    rows = []
    for pairs in kinds:
        for method, _ in methods:
            own = _of(outcome, method, pairs.mode)
            if own:
                levels = [score.psnr for score in own]
                row: dict[str, Any] = {"mode": pairs.mode, "method": method, "pairs": len(own)}
                row |= {"PSNR": _mean(own, "psnr"), "least": min(levels), "most": max(levels)}
                rows.append(row | {"SSIM": _mean(own, "ssim")})
    return rows


def column_rows(outcome: Outcome, methods: Sequence[Method], kinds: Sequence[Pairs]) -> list[dict[str, Any]]:
    """Position error, pm, and F1 of the atom columns in the first estimate of each kind."""
    rows = []
    for method, _ in methods:
        row: dict[str, Any] = {"method": method}
        for pairs in kinds:
            estimate = outcome.first.get((method, pairs.mode))
            if estimate is None:
                continue
            scores = Columns.of(pairs.clean[0]).score(np.asarray(estimate, np.float32))
            row |= {f"{pairs.mode}, pm": 1e3 * PIXEL_NM * scores.error, f"{pairs.mode}, F1": scores.f1}
        rows.append(row)
    return rows


def regret(scores: Sequence[Score], chosen: str, candidates: Sequence[str]) -> tuple[float, float] | None:
    """Say what a choice costs against the best single candidate of each image: the mean and the most, dB.

    Images that the choice was not scored on do not count; None if there is nothing to compare.
    """
    best: dict[tuple[str, int], float] = {}
    for score in scores:
        if score.method in candidates:
            place = score.mode, score.pair
            best[place] = max(score.psnr, best.get(place, -np.inf))
    own = {(score.mode, score.pair): score.psnr for score in scores if score.method == chosen}
    lost = [best[place] - own[place] for place in own.keys() & best.keys()]
    return (float(np.mean(lost)), max(lost)) if lost else None


def _of(outcome: Outcome, method: str, mode: str) -> list[Score]:
    return [score for score in outcome.scores if (score.method, score.mode) == (method, mode)]


def _mean(scores: Sequence[Score], metric: str) -> float | None:
    return float(np.mean([getattr(score, metric) for score in scores])) if scores else None


# --- images ------------------------------------------------------------------------------------------------------


def peer_pairs() -> list[Pairs]:
    """Read the peer's pairs of all modes that have a truth."""
    return [Pairs(mode, *map(tuple, read_pairs(mode)), network=network) for mode, network in MODES.items()]


def drawn_pairs(side: int = 64, count: int = 2) -> list[Pairs]:
    """Draw a few small pairs: columns of a lattice under Poisson noise, discs under noise that lines share."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    columns, discs = [], []
    for _ in range(count):
        period, turn = random.uniform(8, 11), random.uniform(0, np.pi / 2)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        columns.append(20 * np.exp(2 * (np.cos(2 * np.pi * u / period) + np.cos(2 * np.pi * v / period) - 2)) + 2)
        centres, radii = random.uniform(0, side, (12, 2)), random.uniform(4, 12, 12)
        inside = [np.hypot(y - cy, x - cx) < radius for (cy, cx), radius in zip(centres, radii, strict=True)]
        discs.append(np.select(inside, list(random.uniform(20, 100, 12)), 10.0))
    lines = [disc + random.normal(0, 8, disc.shape) + random.normal(0, 4, (side, 1)) for disc in discs]
    counted = [random.poisson(column).astype(np.float64) for column in columns]
    return [Pairs("columns", counted, columns, pixel_size_nm=0.0244), Pairs("discs", lines, discs)]


def photograph_pairs(quick: bool = False) -> list[Pairs]:
    """Add Gaussian noise, neither rounded nor clipped, to scikit-image's photographs in colour."""
    names, sigmas = (PHOTOGRAPHS[:1], SIGMAS[:1]) if quick else (PHOTOGRAPHS, SIGMAS)
    clean = [getattr(data, name)().astype(np.float64) for name in names]
    if quick:
        clean = [image[:64, 200:264] for image in clean]
    random = np.random.default_rng(0)
    return [
        Pairs(
            f"σ = {sigma}",
            [(image + random.normal(0, sigma, image.shape)).astype(np.float32) for image in clean],
            clean,
            data_range=WHITE,
            noise=Gaussian(sigma=sigma),
        )
        for sigma in sigmas
    ]


def material_pairs(quick: bool = False) -> list[Pairs]:
    """Count frames of the six materials, in both modes and at all doses."""
    side, doses = (QUICK_FRAME, DOSES[1:2]) if quick else (FRAME, DOSES)
    kinds = []
    for mode, network in (("HRTEM", "sfr_hrtem"), ("HAADF", "sfr_hrstem")):
        for dose in doses:
            noisy, clean = zip(*exposed(mode, dose, side), strict=True)  # type: ignore[arg-type]
            name = f"{mode}, {dose:g} e⁻"
            kinds.append(Pairs(name, noisy, clean, network, noise=Poisson(), pixel_size_nm=PIXEL_NM))
    return kinds


# --- time --------------------------------------------------------------------------------------------------------


def _frame(side: int) -> Micrograph:
    """Take the middle of the sample micrograph."""
    whole = sample_micrograph(seed=0)
    return replace(whole, pixels=middle(np.asarray(whole.pixels), side))


def measure(model: str, side: int) -> dict[str, Any] | None:
    """Denoise a frame twice; the second run counts, as the first has loaded all. None if the model refuses it."""
    frame = _frame(side)
    try:
        denoise(frame, model=model)
    except GanDenoiseError:
        return None
    started = time.perf_counter()
    denoise(frame, model=model)
    return {"seconds": time.perf_counter() - started, "peak GB": peak_gb()}


def _apart(model: str, side: int) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "benchmarks.modes", "--measure", f"{model}:{side}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, Any] | None = json.loads(done.stdout.splitlines()[-1])
    return measured


def speed_rows(models: Sequence[str], side: int, peer: bool) -> list[dict[str, Any]]:
    """Seconds and memory of a frame, each in a process of its own, one after the other; no row for what refuses it."""
    measured = {_ours(model): _apart(model, side) for model in models}
    rows: list[dict[str, Any]] = [{"method": name, **run} for name, run in measured.items() if run]
    if peer:
        found = restore("sfr_hrtem", np.asarray(_frame(side).pixels)[None])
        rows.append({"method": PEER, "seconds": found.seconds[0], "peak GB": found.peak_gb})
    for row in rows:
        row["of the peer"] = row["seconds"] / rows[-1]["seconds"] if peer else None
    return rows


# --- figure ------------------------------------------------------------------------------------------------------


def draw(path: Path, kinds: Sequence[Pairs], outcome: Outcome, shown: Sequence[str], frames: Sequence[Image]) -> None:
    """Draw the middle of the first pair of every kind, a column a method and the truth; below, real frames.

    Parameters
    ----------
    path : pathlib.Path
        Of the picture.
    kinds : sequence of Pairs
        A row each.
    outcome : Outcome
        Has the estimates of the first pairs.
    shown : sequence of str
        Methods, a column each; where one refused, the place stays empty.
    frames : sequence of ndarray
        The last row, from left to right, all with their titles in grey: noisy, ours, noisy, ours.
    """
    columns = max(len(shown) + 1, len(frames))
    figure, places = plt.subplots(
        len(kinds) + bool(frames), columns, figsize=(1.9 * columns, 2 * (len(kinds) + bool(frames))), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes in places.flat:
        axes.set_axis_off()
    for row, pairs in zip(places, kinds, strict=False):
        black, white = np.percentile(pairs.clean[0], (0.5, 99.5))
        images = [outcome.first.get((method, pairs.mode)) for method in shown]
        for axes, title, image in zip(row, [*shown, "truth"], [*images, pairs.clean[0]], strict=False):
            if image is not None:
                _show(axes, image, black, white)
                axes.set_title(f"{pairs.mode}: {title}" if title == shown[0] else title, fontsize=8)
    for axes, title, image in zip(places[-1], ("real frame: noisy", "ours") * 2, frames, strict=False):
        _show(axes, image, *np.percentile(image, (0.5, 99.5)))
        axes.set_title(title, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_photographs(kinds: Sequence[Pairs], outcome: Outcome) -> None:
    """Draw the middle of the first photograph: noisy, by colour BM3D, by the first model that takes it, and clean."""
    ours = [method for method, _ in outcome.first if method.startswith("ours")]
    draw(COLOURS, kinds, outcome, [NOISY, COLOUR_BM3D, *ours[:1]], [])


def _show(axes: Any, image: Image, black: float, white: float) -> None:
    top, left = (max(0, (extent - PIECE) // 2) for extent in image.shape[:2])
    piece = (image[top : top + PIECE, left : left + PIECE] - black) / (white - black)
    axes.imshow(piece.clip(0, 1), cmap="gray", vmin=0, vmax=1)


def _real_frames(models: Sequence[str], count: int = 2) -> list[Image]:
    """Two frames of a real microscope, each followed by what the first model that takes it makes of it."""
    for model in models:
        noisy = read_frames()[:count]
        try:
            return [image for frame in noisy for image in (frame, denoise(frame, model=model).rate)]
        except GanDenoiseError:
            continue
    return []


# --- tables ------------------------------------------------------------------------------------------------------


def write_tables(
    results: Path,
    name: str,
    title: str,
    notes: str,
    methods: Sequence[Method],
    kinds: Sequence[Pairs],
    models: Sequence[str],
) -> Outcome:
    """Score methods on pairs of any source; write ``name`` (mean PSNR) and ``name_frames`` (spread and SSIM)."""
    outcome = run_all(methods, kinds)
    lost = regret(outcome.scores, AUTOMATIC, [_ours(model) for model in models if model != AUTO])
    if lost:
        notes += f" The automatic choice of a model loses {lost[0]:.2f} dB against the best one of each image in the "
        notes += f"mean, {lost[1]:.2f} at most."
    scored = [score._asdict() for score in outcome.scores]
    rows, spread = mean_rows(outcome, methods, kinds), frame_rows(outcome, methods, kinds)
    typer.echo(write_result(results, name, title, notes, rows, scores=scored))
    typer.echo(write_result(results, f"{name}_frames", f"{title}: spread", notes, spread))
    return outcome


def _micrographs(models: Sequence[str], peer: bool, quick: bool, results: Path, without: str) -> None:
    try:
        kinds = drawn_pairs() if quick else peer_pairs()
    except GanDenoiseError as missing:
        typer.echo(f"No table of micrographs: {missing}")
        return
    methods = [*classical_methods(), *our_methods(models), *told_methods(models)]
    methods += [Method(PEER, _peer)] if peer else []
    sides = " x ".join(map(str, kinds[0].noisy[0].shape))
    whose = "Small pairs drawn to check that everything runs" if quick else "The test pairs of the peer that have noise"
    notes = (
        f"{whose}, {sides} pixels; no method was trained or tuned on them. Mean PSNR in dB; data "
        "range that of the clean image, nothing clipped. Rows named best choose by the truth: they are upper limits, "
        "not something a user can run. *Estimated*: the standard deviation that the finest wavelets show; "
        "*calibrated*: the noise model that this package finds in the image. Ours are run as a user runs them, with no "
        f"setting but the model; or, of a model that estimates the noise by itself, also with its strength.{without}"
    )
    outcome = write_tables(results, "modes", "Modes of microscopy", notes, methods, kinds, models)
    if not quick:
        ours = [name for name in map(_ours, models) if any(method == name for method, _ in outcome.first)]
        shown = [NOISY, BEST_BM3D, *ours[:1], *([PEER] if peer else [])]
        draw(FIGURE, kinds, outcome, shown, _real_frames(models))


def _materials(models: Sequence[str], peer: bool, quick: bool, results: Path, without: str) -> None:
    kinds = material_pairs(quick)
    methods = material_methods() + our_methods(models) + ([Method(PEER, _peer)] if peer else [])
    side = len(kinds[0].noisy[0])
    notes = (
        f"Simulated frames of {', '.join(CRYSTALS)}, {side} x {side} pixels of {1e3 * PIXEL_NM:g} pm, Poisson counts, "
        "electrons a pixel in the mean; no model has met these materials. All methods but the peer are told that these "
        f"are counts, ours the pixel size, too. PSNR in dB, data range that of the clean image.{without}"
    )
    outcome = write_tables(results, "modes_materials", "Materials that no model has met", notes, methods, kinds, models)
    rows = column_rows(outcome, methods, [pairs for pairs in kinds if pairs.mode.startswith("HAADF")])
    notes = (
        "The HAADF frames of the table *Materials that no model has met*: mean distance of matched atom columns from "
        "their places in the clean image, pm, and mean F1; the first frame of each dose."
    )
    typer.echo(write_result(results, "modes_columns", "Atom columns of unknown materials", notes, rows))


def _photographs(models: Sequence[str], quick: bool, results: Path) -> None:
    kinds = photograph_pairs(quick)
    names = "A piece of a photograph" if quick else f"The photographs {', '.join(PHOTOGRAPHS)}"
    notes = (
        f"{names}, in colour, of scikit-image; Gaussian noise of standard deviation σ on 255 grey levels, neither "
        "rounded nor clipped, which all methods are told. PSNR in dB, data range 255, nothing clipped."
    )
    methods = photograph_methods() + our_methods(models)
    outcome = write_tables(results, "modes_photographs", "Photographs in colour", notes, methods, kinds, models)
    if not quick:
        draw_photographs(kinds, outcome)


def _speed(models: Sequence[str], peer: bool, quick: bool, results: Path, without: str) -> None:
    side = QUICK_SIDE if quick else SIDE
    rows = speed_rows(models, side, peer)
    notes = (
        f"Sample micrograph, {side} x {side} pixels of 6.1 pm, one after the other in processes of their own, the "
        "second run of each; ours with default settings. Peak memory is the whole process with its libraries. Load "
        f"average at the end: {os.getloadavg()[0]:.1f}.{without}"
    )
    typer.echo(write_result(results, "modes_speed", "Time beside the peer", notes, rows))


def main(
    peer: Annotated[bool, typer.Option("--peer", help="With the rows of the peer.")] = False,
    quick: Annotated[bool, typer.Option(help="Small drawn pairs, nothing downloaded, no figure.")] = False,
    models: Annotated[str, typer.Option(help="Names or paths of our models, comma-separated; by default all.")] = "",
    only: Annotated[str, typer.Option(help="micrographs, materials, photographs or speed; by default all.")] = "",
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
    measure_model: Annotated[str, typer.Option("--measure", hidden=True)] = "",
) -> None:
    """Measure, write ``modes``, ``modes_materials`` and others that begin with ``modes``, draw the figure."""
    if measure_model:
        model, _, side = measure_model.rpartition(":")
        typer.echo(json.dumps(measure(model, int(side))))
        return
    ours, without = models.split(",") if models else [AUTO, *(card.name for card in list_models())], ""
    if peer:
        try:
            environment()
        except GanDenoiseError as missing:
            peer, without = False, f" Without the rows of the peer: {missing}"
    if only in ("", "micrographs"):
        _micrographs(ours, peer, quick, results, without)
    if only in ("", "materials"):
        _materials(ours, peer, quick, results, without)
    if only in ("", "photographs"):
        _photographs(ours, quick, results)
    if only in ("", "speed"):
        _speed(ours, peer, quick, results, without)


if __name__ == "__main__":
    typer.run(main)
