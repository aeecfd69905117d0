"""Coverage of the uncertainty: how often the truth lies within two standard errors of the result.

The factor that the model file holds is learnt on simulation seed 3; coverage is then measured on held-out frames
(seed 4).  A square in the middle of each frame is used.

::

    python -m benchmarks.coverage --learn    # write the factor into the bundled model, then measure
    python -m benchmarks.coverage            # measure
    python -m benchmarks.coverage --quick    # one small frame, two repetitions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.heldout import (
    DATA,
    NOISE_SEED,
    SIMULATION,
    VACUUM,
    Frame,
    few_frames,
    heldout_frames,
    middle,
)
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.models import load_model, save_model
from napari_gandenoise.settings.denoise import REPLICATES
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

__all__ = ["main"]

MODEL = "hrtem"
DOSES = (0.15, 0.45, 4.5)  # electrons per pixel in vacuum
SIDE = 600
LEARNT_ON = SIMULATION.model_copy(update={"seed": 3, "structures": 6})
WANTED = 0.95
FIGURE = Path("docs/images/uncertainty.png")
PIECE = slice(250, 850), slice(250, 850)
TITLES = "result", "size of the error", "two standard errors"


def draw(path: Path) -> None:
    """Draw a piece of the sample: result, size of the error, two standard errors."""
    counts, truth = sample_micrograph(), sample_truth()
    result = denoise(counts, model=MODEL, preset="fast", replicates=REPLICATES)
    assert result.uncertainty is not None
    error = np.abs(result.rate - truth.pixels)
    top = 2 * float(np.quantile(result.uncertainty[PIECE], 0.999))
    panels = (result.rate, "gray", None), (error, "magma", top), (2 * result.uncertainty, "magma", top)
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for ax, title, (image, colours, limit) in zip(axes, TITLES, panels, strict=True):
        shown = ax.imshow(image[PIECE], cmap=colours, vmin=0 if limit else None, vmax=limit)
        ax.set_title(title, fontsize=9)
        ax.axis("off")
        figure.colorbar(shown, ax=ax, shrink=0.8, label="electrons per pixel")
    figure.savefig(path, dpi=110)


def errors(frame: Frame, dose: float, side: int, replicates: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return error and uncalibrated standard error of a frame at a dose, electrons per pixel."""
    truth = dose / VACUUM * middle(frame.truth, side)
    random = np.random.default_rng((NOISE_SEED, frame.structure, 4, round(1000 * dose)))
    counts = random.poisson(truth).astype(np.float32)
    size = SIMULATION.pixel_size_nm
    result = denoise(counts, model=MODEL, pixel_size_nm=size, noise=Poisson(), preset="fast", replicates=replicates)
    assert result.uncertainty is not None
    return result.rate - truth, result.uncertainty / result.report["uncertainty_factor"]


def learn(frames: Sequence[Frame], doses: Sequence[float]) -> float:
    """Return the factor that makes `WANTED` of the pixels lie within two standard errors: the median over all runs."""
    factors = []
    for frame in tqdm(frames, desc="learning"):
        for dose in doses:
            error, spread = errors(frame, dose, SIDE, REPLICATES)
            factors.append(np.quantile(np.abs(error / spread), WANTED) / 2)
    return float(np.median(factors))


def store(factor: float) -> None:
    """Write the factor into the bundled model."""
    model = load_model(MODEL)
    assert model.path is not None
    save_model(model.path, replace(model, header=model.header.model_copy(update={"uncertainty_factor": factor})))


def main(
    learn_factor: Annotated[bool, typer.Option("--learn", help="First learn the factor and store it.")] = False,
    quick: Annotated[bool, typer.Option(help="One small frame, two repetitions.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the simulated frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``coverage.json`` and ``coverage.md``."""
    if learn_factor:
        store(round(learn(heldout_frames(cache / "learning", config=LEARNT_ON, least=2), DOSES), 2))
    frames = few_frames(cache, quick)
    doses, side, replicates = ((0.45,), 200, 2) if quick else (DOSES, SIDE, REPLICATES)
    factor = load_model(MODEL).header.uncertainty_factor
    rows = []
    for dose in doses:
        for frame in tqdm(frames, desc=f"{dose} e-/pixel"):
            error, spread = errors(frame, dose, side, replicates)
            within = np.abs(error) < 2 * factor * spread
            sizes = {"error": np.sqrt(np.mean(error**2)) / dose, "standard error": factor * spread.mean() / dose}
            rows.append(
                {"dose": dose, "contrast": frame.contrast, "frame": frame.structure}
                | {name: float(value) for name, value in sizes.items()}
                | {"within 2 standard errors, %": 100 * float(within.mean())}
            )
    notes = (
        f"Held-out frames, the middle {side} x {side} pixels, fast preset, {replicates} repetitions, factor {factor:g} "
        f"learnt on simulation seed {LEARNT_ON.seed}. Error: root mean square; standard error: mean; both relative to "
        "the rate in vacuum. A Gaussian error would lie within two standard errors in 95.4 % of pixels."
    )
    if not quick:
        draw(FIGURE)
    typer.echo(write_result(results, "coverage", "Coverage of the uncertainty", notes, rows))


if __name__ == "__main__":
    typer.run(main)
