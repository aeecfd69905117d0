"""Movies: what the counts of neighbouring frames bring, where the specimen moves, stands still and changes.

Mean PSNR of the bundled U-Net with each frame for itself and with two neighbours before and after, beside the plain
mean of five frames, BM3D of the same, and the same dose without motion::

    python -m benchmarks.movies          # half an hour
    python -m benchmarks.movies --quick  # a small piece of five frames
    python -m benchmarks.movies --peer 1  # an hour: an unsupervised video denoiser, trained for so many epochs
    python -m benchmarks.movies --real stem_abf_data_imagestack.hspy  # two minutes: a movie that has no truth

The last file is of the repository github.com/hyperspy/hyperspy-demos, folder image_data/datasets.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation
from tqdm import tqdm

from benchmarks.heldout import VACUUM
from benchmarks.materials import CRYSTALS, PIXEL_NM, clean_frame
from benchmarks.record import RESULTS, write_result
from benchmarks.video_peer import train_and_denoise
from napari_gandenoise.baselines.methods import bm3d as by_bm3d
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.simulate.samples import sample_movie

__all__ = ["main"]

Image = NDArray[Any]
FRAMES, REACH = 5, 2
SIDE = 320  # of movies of other materials
STEP, TURN = 1.2, 0.6  # pixels and degrees from frame to frame, of these
TRIALS = 40  # columns that appear
RIM, BLOCK = 24, 32  # pixels of real frames: where held-out ones may end, and squares whose spread tells the error


def scored(truth: Image, rate: Image, unit: float = 1.0) -> float:
    """Return the mean PSNR over frames, dB."""
    return float(np.mean([psnr(one / unit, other / unit) for one, other in zip(truth, rate, strict=True)]))


def denoised(counts: Image, pixel_size_nm: float, neighbours: int, preset: str = "balanced") -> Image:
    """Denoise a movie by the bundled U-Net."""
    fields: dict[str, Any] = {"model": "hrtem-unet", "noise": Poisson(), "preset": preset, "neighbours": neighbours}
    return denoise(counts, pixel_size_nm=pixel_size_nm, **fields).rate


def summed(counts: Image) -> Image:
    """Return the plain mean of each frame and its neighbours."""
    near = [range(max(0, t - REACH), min(len(counts), t + REACH + 1)) for t in range(len(counts))]
    return np.stack([counts[list(frames)].mean(axis=0) for frames in near])


def sample(quick: bool) -> Iterator[dict[str, Any]]:
    """Measure the sample movie: a particle that rocks and slides."""
    noisy, clean = sample_movie()
    part = np.s_[:5, 240:400, 240:400] if quick else np.s_[:]
    counts, truth, size = noisy.pixels[part], clean.pixels[part], noisy.pixel_size_nm
    changed = np.zeros(truth.shape, bool)
    changed[1:-1] = np.maximum(abs(truth[1:-1] - truth[:-2]), abs(truth[1:-1] - truth[2:])) > 0.1 * VACUUM
    results = {}
    for name, neighbours in (("each frame for itself", 0), ("with neighbours", REACH)):
        started = time.process_time()
        results[name] = denoised(counts, size, neighbours)
        seconds = (time.process_time() - started) / len(counts)
        yield row("sample movie", name, truth, results[name], changed, seconds)
    means = summed(counts)
    plain = np.stack(
        [denoise(mean, model="hrtem-unet", noise=Poisson(gain=0.2), pixel_size_nm=size).rate for mean in means]
    )
    yield row("sample movie", "plain mean of 5 frames", truth, plain, changed)
    bm3d = np.stack([by_bm3d(5 * mean, 2 if quick else 3) / 5 for mean in means])
    yield row("sample movie", "BM3D of the plain mean of 5, summed 3 x 3", truth, bm3d, changed)
    still = np.random.default_rng(1).poisson(5 * truth).astype(np.uint16)
    best = np.stack(
        [denoise(frame, model="hrtem-unet", noise=Poisson(), pixel_size_nm=size).rate / 5 for frame in still]
    )
    yield row("sample movie", "five times the dose without motion", truth, best, changed)
    five = np.random.default_rng(2).poisson(np.repeat(truth[:1], FRAMES, axis=0))
    for name, neighbours in (("each frame for itself", 0), ("with neighbours", REACH)):
        rate = denoised(five.astype(np.uint16), size, neighbours)
        middle = slice(REACH, REACH + 1)
        yield row("one frame, five times", name, truth[:1], rate[middle], np.zeros_like(changed[:1]))
    rate = denoise(five.sum(axis=0).astype(np.uint16), model="hrtem-unet", noise=Poisson(), pixel_size_nm=size).rate / 5
    yield row("one frame, five times", "their sum", truth[:1], rate[None], np.zeros_like(changed[:1]))


def row(
    movie: str, method: str, truth: Image, rate: Image, changed: Image, seconds: float | None = None
) -> dict[str, Any]:
    """Score a method on a movie, all of it and what changes from frame to frame."""
    part = psnr(truth[changed], rate[changed]) if changed.any() else float("nan")
    return {
        "movie": movie,
        "method": method,
        "PSNR": scored(truth, rate),
        "where it changes": part,
        "processor seconds a frame": "–" if seconds is None else f"{seconds:.2f}",
    }


def others(quick: bool) -> Iterator[dict[str, Any]]:
    """Measure movies of materials that the model has not met, which drift and turn."""
    side = 96 if quick else SIDE
    for number, name in enumerate(list(CRYSTALS)[: 1 if quick else None]):
        wide = clean_frame(name, "HRTEM", side + 64)
        truth = np.stack([moving(wide, frame - REACH)[32:-32, 32:-32] for frame in range(FRAMES)])
        counts = np.random.default_rng((7, number)).poisson(5 * truth).astype(np.uint16)
        for method, neighbours in (("each frame for itself", 0), ("with neighbours", REACH)):
            rate = denoised(counts, PIXEL_NM, neighbours) / 5
            none = np.zeros((1, 1), bool)
            yield row(f"{name}, drifting and turning", method, truth, rate, np.broadcast_to(none, truth.shape))


def moving(image: Image, frames: int) -> Image:
    """Turn and shift a clean image as a specimen that moves."""
    turned = ndimage.rotate(image, TURN * frames, reshape=False, order=3, mode="reflect")
    return np.maximum(ndimage.shift(turned, (STEP * frames, -0.6 * STEP * frames), order=3, mode="reflect"), 0)


def arrivals(quick: bool) -> Iterator[dict[str, Any]]:
    """Put columns into a still movie at one frame; count those that are shown from then on, and not before."""
    _, clean = sample_movie()
    side = 160 if quick else 320
    base = clean.pixels[5][140 : 140 + side, 140 : 140 + side]
    rows, columns = np.mgrid[:side, :side]
    found: list[tuple[float, bool, bool]] = []
    for trial in tqdm(range(3 if quick else TRIALS), desc="columns"):
        random = np.random.default_rng((9, trial))
        y, x = random.integers(side // 5, 4 * side // 5, 2)
        column = base * random.uniform(0.4, 2.0) * np.exp(-0.5 * ((rows - y) ** 2 + (columns - x) ** 2) / 5.0**2)
        truth = np.stack([base, base, base + column, base + column, base + column])
        rate = denoised(random.poisson(truth).astype(np.uint16), clean.pixel_size_nm, REACH, "fast")
        share = ((rate - base) * column).sum(axis=(1, 2)) / (column**2).sum()
        certainty = float(np.sqrt((column**2 / (2 * base)).sum()))
        found.append((certainty, share[2] > 0.5, share[1] < 0.5))
    for low, high in ((0.0, 3.0), (3.0, 5.0), (5.0, np.inf)):
        own = [one for one in found if low <= one[0] < high]
        if own:
            yield {
                "a test of two frames sees it with": f"{low:g} to {high:g} standard deviations",
                "columns": len(own),
                "shown in its first frame": f"{100 * np.mean([shown for _, shown, _ in own]):.0f} %",
                "not shown before": f"{100 * np.mean([hidden for *_, hidden in own]):.0f} %",
            }


def beside_peer(epochs: int) -> Iterator[dict[str, Any]]:
    """Measure the sample movie: ours, and the peer after so many epochs on that movie."""
    noisy, clean = sample_movie()
    counts, truth = noisy.pixels, clean.pixels
    started = time.process_time()
    rate = denoised(counts, noisy.pixel_size_nm, REACH)
    ours = time.process_time() - started
    peer = train_and_denoise(counts, epochs)
    for method, found, seconds in (
        ("hrtem-unet with neighbours", rate, ours),
        (f"UDVD-MF, {epochs} of its 50 epochs", peer.movie, peer.processor_seconds),
    ):
        yield {"method": method, "PSNR": scored(truth, found), "processor seconds, whole movie": seconds}


def real(path: Path, model: str = "auto") -> Iterator[dict[str, Any]]:
    """Judge a movie without a truth by frames that are held out."""
    movie = read_micrograph(path)
    frames = np.asarray(movie.pixels)

    def cleaned(kept: list[int], reach: int) -> Image:
        return denoise(frames[kept], model=model, pixel_size_nm=movie.pixel_size_nm, neighbours=reach).rate

    alone = cleaned(list(range(len(frames))), 0)
    for frame in range(1, len(frames) - 1):
        for other in (frame - 1, frame + 1):
            kept = [number for number in range(len(frames)) if number != other]
            together = cleaned(kept, REACH)[kept.index(frame)]
            before, after = (_distances(rate, frames[other]) for rate in (alone[frame], together))
            less = before - after
            part = less[: len(less) // BLOCK * BLOCK, : less.shape[1] // BLOCK * BLOCK]
            blocks = part.reshape(len(part) // BLOCK, BLOCK, -1, BLOCK).mean(axis=(1, 3))
            yield {
                "movie": path.name,
                "frame": frame + 1,
                "held out": other + 1,
                "alone": f"{before.mean():.4g}",
                "with neighbours": f"{after.mean():.4g}",
                "less by": f"{blocks.mean():.3g} ± {blocks.std(ddof=1) / blocks.size**0.5:.2g}",
            }


def _distances(rate: Image, held: Image) -> Image:
    """Return squared distances to a held-out frame, but for the rim, once the rate is brought to where that fits best.

    The rate is moved and not the frame, whose noise would be less between pixels.
    """
    fixed, moving = (image.astype(float) - image.mean() for image in (held, rate))
    drift = phase_cross_correlation(fixed, moving, upsample_factor=20, normalization=None)[0]
    brought = ndimage.shift(rate.astype(float), drift, order=3, mode="nearest")
    distances: Image = np.square(brought - held)[RIM:-RIM, RIM:-RIM]
    return distances


def main(
    quick: Annotated[bool, typer.Option(help="Small pieces, few frames.")] = False,
    peer: Annotated[int, typer.Option(help="Instead, the peer after so many epochs beside ours.", min=0)] = 0,
    real_movie: Annotated[Path | None, typer.Option("--real", help="Instead, a movie that has no truth.")] = None,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write the tables."""
    if real_movie:
        notes = (
            "Bright-field STEM of hyperspy-demos, by default settings: squared distance to a frame that was held out, "
            "in the file's units, of which most is that frame's own noise and is the same for both; how much less it "
            f"is, with the standard error of squares of {BLOCK} pixels."
        )
        rows = list(tqdm(real(real_movie), desc="held-out frames"))
        typer.echo(write_result(results, "movies_real", "A real movie", notes, rows))
        return
    if peer:
        notes = (
            "Sample movie, 20 frames. UDVD-MF (Sheth et al. 2021) learns from the movie itself, by its own script of "
            "commit c465201 and with its own settings but for the epochs; its time is that of all its script does."
        )
        rows = list(beside_peer(peer))
        typer.echo(write_result(results, "movies_peer", "Movies beside a network trained on them", notes, rows))
        return
    rows = [*sample(quick), *others(quick)]
    notes = (
        "The bundled U-Net, preset balanced, noise known. Mean PSNR over frames in dB, data range 1 (electrons per "
        "pixel, or for other materials the mean); where it changes: pixels that differ by more than a tenth of vacuum "
        f"from the frame before or after. Neighbours: {REACH} before and {REACH} after, moved and compared with it, "
        "no network of movies. Reach and window were chosen on the sample, nothing on the other movies."
    )
    typer.echo(write_result(results, "movies", "Movies", notes, rows))
    notes = (
        "A column is added to a still movie at its third of five frames, at random places and heights. Shown: more "
        "than half of it, by least squares with its own shape. The best test of two frames knows place and shape."
    )
    typer.echo(write_result(results, "movies_arrivals", "Columns that appear", notes, list(arrivals(quick))))


if __name__ == "__main__":
    typer.run(main)
