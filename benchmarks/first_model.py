"""A first model, trained in minutes on a small simulated set: what it draws, and the sample denoised with it.

::

    python -m benchmarks.first_model            # simulates and trains if need be: a quarter of an hour on one core
    python -m benchmarks.first_model --quick    # two structures and a few steps: checks that everything runs
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
import yaml
from numpy.typing import NDArray

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.cli import drain_with_bar
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.models import load_model
from napari_gandenoise.settings.data import SimulatedData
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.simulate import simulate_steps
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.supply import Supply

__all__ = ["main"]

CONFIGS = Path(__file__).parents[1] / "configs"
FIGURE = Path("docs/images/first-model.png")
PIECE = slice(250, 850), slice(250, 850)


def train(folder: Path | None) -> TrainConfig:
    """Simulate and train by the small configurations; with a folder a far smaller run, in there."""
    simulation = SimulationConfig.model_validate(yaml.safe_load((CONFIGS / "small-simulation.yaml").read_text()))
    config = TrainConfig.model_validate(yaml.safe_load((CONFIGS / "small.yaml").read_text()))
    assert isinstance(config.data, SimulatedData)
    if folder is not None:
        simulation = simulation.model_copy(update={"structures": 5, "images_per_structure": 1, "shape": 200})
        data = config.data.model_copy(update={"path": folder / "small.zarr"})
        few = {"data": data, "output": folder / "run", "steps": 20, "pool": 2600, "held_out": 1}
        config = config.model_copy(update=few)
        assert isinstance(config.data, SimulatedData)
    if not (config.output / f"{config.name}.safetensors").exists():
        drain_with_bar(simulate_steps(simulation, config.data.path))
        drain_with_bar(train_steps(config, resume=True))
    return config


def tiled(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put sixteen templates ``(16, 1, H, W)`` into a square with lines between them."""
    framed = np.pad(images[:16, 0], ((0, 0), (0, 1), (0, 1)), constant_values=1)
    return framed.reshape(4, 4, *framed.shape[1:]).swapaxes(1, 2).reshape(4 * framed.shape[1], -1)


def draw(config: TrainConfig, rate: NDArray[np.float32]) -> None:
    """Draw real tiles, samples, and the sample micrograph before and after."""
    model = load_model(config.output / f"{config.name}.safetensors")
    with closing(Supply(config, config.seed, torch.device("cpu"))) as supply:
        real = supply.held_out().template
    samples = model.render(model.draw_latents((16,), torch.Generator().manual_seed(0)))
    panels = [tiled(images.numpy()) for images in (real, samples.detach())]
    panels += [sample_micrograph().pixels[PIECE].clip(0, 3), rate[PIECE]]
    titles = "held-out tiles", "samples", "sample micrograph", "denoised"
    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    for ax, title, image in zip(axes, titles, panels, strict=True):
        ax.imshow(image, cmap="gray")
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    figure.savefig(FIGURE, dpi=110)


def main(
    quick: Annotated[bool, typer.Option(help="A far smaller set and run, no figure.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Train, measure, write ``first_model.json`` and ``first_model.md``, and draw the figure."""
    config = train(results / "first-model" if quick else None)
    own = str(config.output / f"{config.name}.safetensors")
    counts, truth = sample_micrograph(), sample_truth().pixels
    rows: list[dict[str, Any]] = []
    rates = {}
    for name, model in (("this model", own), ("the bundled model", "hrtem")):
        row: dict[str, Any] = {"PSNR, dB": name}
        for column, step in (("generator alone", False), ("with residual step", True)):
            result = denoise(counts, model=model, preset="fast", residual_step=step)
            row[column] = psnr(truth, result.rate)
            rates[name] = result.rate
        rows.append(row)
    if not quick:
        draw(config, rates["this model"])
    notes = (
        f"The sample micrograph, fast preset; the model of configs/small.yaml ({config.steps} steps on few structures) "
        "and the bundled one. PSNR in dB, data range 1."
    )
    typer.echo(write_result(results, "first_model", "A first model", notes, rows))


if __name__ == "__main__":
    typer.run(main)
