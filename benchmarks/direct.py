"""Direct denoisers: on photographs, over doses, and on an image of 24 megapixels.

The models that the package does not bring are trained first, or read from ``runs/`` if they are there: minutes to an
hour each on a CPU::

    python -m benchmarks.direct
    python -m benchmarks.direct --quick     # tiny models, few steps: checks that everything runs
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
import yaml
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means
from tqdm import tqdm

from benchmarks.denoising import BINS, QUICK_BINS, Method, baseline_methods, mean_table, reference_scores, scores_of
from benchmarks.heldout import DATA, NOISE_SEED, SIMULATION, VACUUM, Frame, few_frames, heldout_frames, middle
from benchmarks.photographs import write_pictures
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import OracleChoice, bm3d, flat, oracle_bin, oracle_blur
from napari_gandenoise.denoising import denoise
from napari_gandenoise.denoising.views import VIEWS
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.noise import Gaussian, Poisson
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.train import read_training
from napari_gandenoise.simulate import simulate_steps
from napari_gandenoise.tiling.spline import through_means
from napari_gandenoise.training import train_steps

__all__ = ["main", "photograph_rows", "train"]

CONFIGS = Path("configs")
FIGURE = Path("docs/images/direct-dose.png")
SIGMAS = (25, 51, 127)
DOSES = (0.05, 0.15, 0.45, 1.5, 4.5, 15.0, 45.0, 100.0)
SIDE = 600
LOWEST = 10.0  # dB, of the figure: what is below says nothing
LARGE = (4000, 6000)
COARSE_BINS = tuple(range(4, 13))  # means over larger pixels serve better where they are brought back as means
REFERENCES = ("flat", "BM3D, best bin")
STUDY = {
    "U-Net, one dose": "hrtem-unet-fixed",
    "U-Net, one dose, Poisson loss": "hrtem-unet-poisson",
    "U-Net, many doses": "hrtem-unet-range",
}
TINY: dict[str, Any] = {
    "steps": 2, "batch": 2, "pool": 64, "fresh": 1, "workers": 0, "checkpoint_every": 2, "held_out": 1,
}  # fmt: skip
TINY_SET = SimulationConfig(structures=2, images_per_structure=2, shape=352, seed=1)


def train(name: str, folder: Path | None) -> Path:
    """Return the model of a configuration of this repository; train it, or go on with it, if it is not there."""
    fields = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    if folder is not None:
        fields |= {**TINY, "output": folder / name}
        fields["data"] |= {"path": folder / Path(fields["data"]["path"]).name}
        if fields["recipe"] == "stable":
            fields["encoder_steps"] = 2
        elif fields["recipe"]["kind"] == "autoencoder-gan":
            fields["recipe"] |= {"pretraining": 2, "judge_pretraining": 2}
            fields["architecture"] |= {"filters": [8, 8, 4], "latent": 50}
    _write_data(Path(fields["data"]["path"]), TINY_SET if folder else None)
    config = read_training(fields)
    path = config.output / f"{name}.safetensors"
    if not path.exists() or load_model(path).header.training["step"] < sum(config.stages.values()):
        path = drain(train_steps(config, resume=True))
    return path


def _write_data(path: Path, simulation: SimulationConfig | None) -> None:
    """Make the images that a run learns from, unless they are there."""
    if path.suffix != ".zarr":
        write_pictures(path)
    elif not path.exists():
        written = (CONFIGS / f"{path.stem}.yaml").read_text(encoding="utf-8")
        drain(simulate_steps(simulation or SimulationConfig.model_validate(yaml.safe_load(written)), path))


def photograph_rows(models: dict[str, Path], sigmas: Sequence[int], side: int) -> Iterator[dict[str, Any]]:
    """Score the methods on a picture that no model was trained on; PSNR in dB."""
    from bm3d import bm3d_rgb

    truth = data.coffee()[:side, 100 : 100 + side].astype(np.float64)
    for sigma in sigmas:
        noisy = truth + np.random.default_rng(0).normal(0, sigma, truth.shape)
        photograph = Micrograph(noisy.astype(np.float32), rgb=True)
        means = denoise_nl_means(noisy, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1)
        row: dict[str, Any] = {"sigma": sigma, "noisy": _on_eight_bits(truth, noisy)}
        row |= {"NLM": _on_eight_bits(truth, means), "BM3D": _on_eight_bits(truth, bm3d_rgb(noisy, sigma))}
        for method, model in models.items():
            result = denoise(photograph, model=str(model), noise=Gaussian(sigma=sigma), white=255)
            row[method] = _on_eight_bits(truth, result.rate)
        yield row


def _on_eight_bits(truth: NDArray[Any], image: NDArray[Any]) -> float:
    return float(peak_signal_noise_ratio(truth / 255, np.clip(image / 255, 0, 1), data_range=1))


def dose_rows(
    frame: Frame,
    models: dict[str, str],
    doses: Sequence[float],
    side: int,
    bins: Sequence[int],
    known: Sequence[dict[str, Any]] = (),
) -> Iterator[dict[str, Any]]:
    """Score networks in one view, the bundled one in many, the latent search, and BM3D on one frame at every dose.

    What others make of each dose may be known; the bundled models are scored in any case.
    """
    clean = middle(frame.truth, side) / VACUUM
    for number, dose in enumerate(doses):
        counts = np.random.default_rng((NOISE_SEED, frame.structure, 2, number)).poisson(dose * clean)
        given: dict[str, Any] = {"pixel_size_nm": SIMULATION.pixel_size_nm, "noise": Poisson()}
        if known:
            row = {name: value for name, value in known[number].items() if "bundled" not in name}
            row.pop("latent search")
        else:
            best = oracle_bin(bm3d, counts.astype(np.float32), (dose * clean).astype(np.float32), bins)
            row = {"dose": dose, "noisy": psnr(clean, counts / dose), "flat": psnr(clean, flat(counts) / dose)}
            row["Gaussian blur, best"] = psnr(clean, oracle_blur(counts, dose * clean).rate / dose)
            row["BM3D, best bin"] = psnr(clean, best.rate / dose)
        for method, model in models.items():
            if method not in row:
                result = denoise(counts, model=model, residual_step=False, views=1, **given)
                row[method] = psnr(clean, result.rate / dose)
        row["latent search"] = psnr(clean, denoise(counts, model="hrtem", preset="fast", **given).rate / dose)
        many = denoise(counts, model="hrtem-unet", **given)
        row[f"U-Net, bundled, {VIEWS['balanced']} views"] = psnr(clean, many.rate / dose)
        yield row


def _means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    doses = dict.fromkeys(row["dose"] for row in rows)
    same = [[row for row in rows if row["dose"] == dose] for dose in doses]
    return [{name: float(np.mean([row[name] for row in group])) for name in group[0]} for group in same]


def _draw(rows: Sequence[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name in rows[0]:
        if name != "dose":
            style = "k--" if name.startswith("BM3D") else "-"
            axes.semilogx([r["dose"] for r in rows], [r[name] for r in rows], style, marker="o", ms=4, label=name)
    axes.set(xlabel="electrons per pixel in vacuum", ylabel="PSNR, dB")
    axes.set_ylim(bottom=LOWEST)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    figure.savefig(FIGURE, dpi=120)


def _large(model: Path, shape: tuple[int, int]) -> dict[str, Any]:
    """Denoise a large photograph in a process of its own, whose memory can be told."""
    command = [sys.executable, "-m", "benchmarks.direct", "--measure", f"{model}:{shape[0]}:{shape[1]}"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    seconds, megabytes, before = map(float, answer.split())
    pixels = shape[0] * shape[1]
    return {
        "megapixels": pixels / 1e6,
        "seconds": seconds,
        "memory, MB": megabytes,
        "of it before the run": before,
        "bytes a pixel": 1e6 * (megabytes - before) / pixels,
    }


def _measure(task: str) -> None:
    name, height, width = task.rsplit(":", 2)
    picture = data.coffee()
    shape = (int(height), int(width))
    repeats = [-(-a // b) for a, b in zip(shape, picture.shape, strict=False)]
    image = np.tile(picture, (*repeats, 1))[: shape[0], : shape[1]]
    denoise(Micrograph(image[:64, :64], rgb=True), model=name, noise=Gaussian(sigma=25))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    started = time.perf_counter()
    denoise(Micrograph(image, rgb=True), model=name, noise=Gaussian(sigma=25))
    seconds = time.perf_counter() - started
    typer.echo(f"{seconds} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3} {before}")


def main(
    quick: Annotated[bool, typer.Option(help="Tiny models, small images.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Held-out frames, doses: take what other methods make from the last record.")
    ] = False,
    only: Annotated[str, typer.Option(help="photographs, heldout, doses or large; by default all.")] = "",
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
    measure: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure, write ``direct_photographs``, ``_heldout``, ``_doses`` and ``_large``, and draw the figure."""
    if measure:
        _measure(measure)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if quick else None
        if only in ("", "photographs"):
            _photographs(folder, results)
        if only in ("", "heldout"):
            _heldout(folder, cache, results, keep)
        if only in ("", "doses"):
            _doses(folder, cache, results, keep)
        if only in ("", "large"):
            shapes = ((100, 150), (200, 300)) if quick else ((1000, 1500), (2000, 3000), LARGE)
            rows = [_large(train("photographs-wgan", folder), shape) for shape in shapes]
            notes = "The encoder-decoder on a colour photograph of eight bits, a small one repeated; peak memory."
            typer.echo(write_result(results, "direct_large", "Direct denoisers: large photographs", notes, rows))


def _photographs(folder: Path | None, results: Path) -> None:
    models = {
        "encoder-decoder": train("photographs-wgan", folder),
        "autoencoder": train("photographs-autoencoder", folder),
        "latent search": train("photographs", folder),
    }
    rows = list(photograph_rows(models, SIGMAS[: 1 if folder else None], 64 if folder else 256))
    notes = (
        "A picture that no model was trained on (coffee, 256 x 256), Gaussian noise of standard deviation sigma on "
        "eight bits, which NLM, BM3D and the latent search are given; the encoder-decoder (WGAN-GP, Gong et al.) is "
        "not told, the autoencoder is. The models have seen six pictures. PSNR in dB, data range 1."
    )
    typer.echo(write_result(results, "direct_photographs", "Direct denoisers: photographs", notes, rows))


def bm3d_by_means(counts: NDArray[Any], bin_factor: int) -> NDArray[np.float32]:
    """BM3D on sums, brought back as the U-Net's rates are: by the spline that has the means (`through_means`)."""
    height, width = (extent // bin_factor * bin_factor for extent in counts.shape)
    cut = counts[:height, :width].reshape(height // bin_factor, bin_factor, width // bin_factor, bin_factor)
    means = torch.from_numpy(bm3d(cut.sum(axis=(1, 3)), 1) / bin_factor**2)
    rate = through_means(means[None], bin_factor)[0].numpy()
    beyond = ((0, counts.shape[0] - height), (0, counts.shape[1] - width))
    return np.maximum(np.pad(rate, beyond, mode="edge"), 0)


def _heldout(folder: Path | None, cache: Path, results: Path, keep: bool) -> None:
    def best_bm3d(frame: Frame) -> OracleChoice:
        return oracle_bin(bm3d_by_means, frame.counts, frame.truth, QUICK_BINS if folder else COARSE_BINS)

    def unet(frame: Frame, **settings: Any) -> OracleChoice:
        given = {"model": "hrtem-unet", "pixel_size_nm": SIMULATION.pixel_size_nm}
        return OracleChoice(1, denoise(frame.counts, **given, **settings).rate)

    frames = few_frames(cache, quick=True) if folder else heldout_frames(cache)
    references = baseline_methods(folder or cache, QUICK_BINS if folder else BINS)
    others = [method for method in references if method.name in REFERENCES]
    others.append(Method("BM3D, best bin, interpolated by means", best_bm3d))
    methods = []
    for preset in ("fast", "balanced", "thorough"):
        views = f"{VIEWS[preset]} view{'s' if VIEWS[preset] > 1 else ''}"
        methods.append(Method(f"U-Net, {views}", partial(unet, preset=preset, residual_step=False)))
        methods.append(Method(f"U-Net, {views}, residual step", partial(unet, preset=preset)))
    scores, said = reference_scores(others, frames, results / "direct_heldout.json" if keep else None)
    scores += scores_of(methods, frames)
    notes = (
        f"The bundled U-Net on the {len(frames)} held-out frames of the table *Denoising*, where the latent search "
        "stands. Mean PSNR in dB (all frames, then per contrast) and mean SSIM, data range 1. BM3D chooses its bin "
        "factor by the truth; interpolated by means, its rate is brought back to the frame's pixels as the U-Net's is, "
        f"and not by the plain cubic spline of all other tables. {said}"
    ).strip()
    scored = [score._asdict() for score in scores]
    rows = mean_table(scores)
    typer.echo(write_result(results, "direct_heldout", "Direct denoisers: held-out frames", notes, rows, scores=scored))


def _doses(folder: Path | None, cache: Path, results: Path, keep: bool) -> None:
    record = json.loads((results / "direct_doses.json").read_text()) if keep else {"frames": []}
    models = {} if keep else {method: str(train(name, folder)) for method, name in STUDY.items()}
    models["U-Net, bundled, one view"] = "hrtem-unet"
    frames = few_frames(cache, folder is not None)
    doses, side, bins = ((0.45, 4.5), 300, QUICK_BINS) if folder else (DOSES, SIDE, BINS)
    known = [record["frames"][first : first + len(doses)] for first in range(0, len(record["frames"]), len(doses))]
    rows = [
        row
        for number, frame in enumerate(tqdm(frames, desc="frames"))
        for row in dose_rows(frame, models, doses, side, bins, known[number] if known else ())
    ]
    notes = (
        f"{len(frames)} held-out frames, the middle {side} x {side} pixels of 6.1 pm; dose in electrons per pixel in "
        "vacuum. Supervised U-Nets in one view, without the residual step: trained at 0.45 electrons per pixel alone, "
        "by squared error or by the Poisson likelihood, or over 0.06 to 25, each 3,000 steps of 64-pixel tiles (the "
        "last is told the strength of the noise); the bundled one starts from a Fourier shrinkage, is larger and was "
        "trained for longer. The residual step belongs to the latent search (fast preset) and to the last column. Mean "
        "PSNR in dB, rates relative to vacuum, data range 1. BM3D chooses its bin factor by the truth."
    )
    if keep:
        notes += (
            f" What is not the package's own was measured on {record['date']}, with the command {record['command']}."
        )
    means = _means(rows)
    typer.echo(write_result(results, "direct_doses", "Direct denoisers: PSNR against dose", notes, means, frames=rows))
    if folder is None:
        _draw(means)


if __name__ == "__main__":
    typer.run(main)
