"""A model of colour photographs: what it draws, what it finds again, what it makes of noise.

The pictures are scikit-image's own; the coffee cup is held out.  *Test 1*: images that the generator has drawn are
inverted without noise.  *Test 2*: crops of the held-out picture, which it cannot draw, are met as closely as it can.
*Denoising*: the held-out picture with Gaussian noise.

::

    python -m benchmarks.photographs                  # trains the model if it is not there: ten minutes on one core
    python -m benchmarks.photographs --images-only    # only writes the pictures, for configs/photographs.yaml
    python -m benchmarks.photographs --quick          # a model of a few steps: checks that everything runs
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import imageio.v3 as imageio
import numpy as np
import torch
import typer
import yaml
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means
from torch import Tensor

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.cli import drain_with_bar
from napari_gandenoise.denoising import denoise
from napari_gandenoise.inversion.bank import template_bank
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.refine import refine
from napari_gandenoise.inversion.search import propose
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.settings.data import FolderData
from napari_gandenoise.settings.noise import Gaussian
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.tiling import TileCounts
from napari_gandenoise.training import train_steps

__all__ = [
    "BRIGHT",
    "CONFIG",
    "MODEL",
    "held_out_crops",
    "main",
    "squared_error",
    "train_model",
    "write_pictures",
    "write_strips",
]

HELD_OUT = "coffee"  # the first file: the training configuration holds one image out
PICTURES = (HELD_OUT, "astronaut", "cat", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
CONFIG = Path(__file__).parents[1] / "configs" / "photographs.yaml"
IMAGES = Path("runs/photographs-images")
MODEL = Path("runs/photographs/photographs.safetensors")
FIGURE = Path("docs/images/photographs.png")
BRIGHT = 1e4  # electrons per pixel of white: noise-free for eight bits
SHOWN = 12
COUNT, QUICK_COUNT = 64, 16  # images of each test
SIGMAS = (25, 51, 127)


def main(
    model: Annotated[Path, typer.Option(help="Model file.")] = MODEL,
    images_only: Annotated[bool, typer.Option("--images-only", help="Write the pictures and stop.")] = False,
    quick: Annotated[bool, typer.Option(help="Few steps and images, no figure.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure, write ``photographs.json`` and ``photographs_denoising.json`` with their tables, draw the figure."""
    if images_only:
        write_pictures(IMAGES)
        return
    if quick:
        model = train_model(CONFIG, results / "photographs-run", steps=20)
    elif not model.exists():
        model = train_model(CONFIG, model.parent)
    count = QUICK_COUNT if quick else COUNT
    loaded = load_model(model)
    generator = torch.Generator().manual_seed(5)  # other latents than those of the template bank
    latents = loaded.draw_latents((count,), generator)
    drawn, cut = (1 + loaded.render(latents)) / 2, held_out_crops(loaded.size, count)
    rows, shown = [], []
    for name, images, true in (("1: drawn", drawn, latents), ("2: held out", cut, None)):
        row, found = _invert(loaded, images, true)
        rows.append({"test": name, "images": count, **row})
        shown.append((images, found))
    noise_rows = [_denoise(model, sigma) for sigma in SIGMAS[: 1 if quick else None]]
    if not quick:
        _draw(FIGURE, loaded, shown)
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), crops of {loaded.size} pixels, no noise. *At random*: a latent "
        "drawn from the prior; *proposed*: best of encoder and template bank; *optimised*: 300 steps from there. PSNR "
        "in dB, data range 1; *reduction* of the squared error from random to optimised, mean and least, %; *latents*: "
        "root mean square error of the latents, proposed and optimised."
    )
    typer.echo(write_result(results, "photographs", "Photographs: inversion", notes, rows))
    notes = (
        "The held-out picture (coffee), Gaussian noise of standard deviation sigma on eight bits, given to all; "
        "balanced preset. PSNR in dB, data range 1."
    )
    typer.echo(write_result(results, "photographs_denoising", "Photographs: denoising", notes, noise_rows))


def write_pictures(folder: Path) -> None:
    """Write the pictures that models of photographs learn from, the held-out one first."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(PICTURES):
        path = folder / f"{number}-{name}.png"
        # A run may be reading what is there.
        if not path.exists():
            imageio.imwrite(path, getattr(data, name)())


def train_model(configuration: Path, output: Path, **fields: Any) -> Path:
    """Train by a configuration of this repository; go on with a run that was interrupted."""
    settings = {**yaml.safe_load(configuration.read_text(encoding="utf-8")), "output": output, **fields}
    config = TrainConfig.model_validate(settings)
    if isinstance(config.data, FolderData):
        write_pictures(config.data.path)
    return drain_with_bar(train_steps(config, resume=True))


def held_out_crops(size: int, count: int) -> Tensor:
    """Crops of the held-out picture, evenly spread: ``(count, 3, size, size)`` from 0 to 1."""
    picture = torch.from_numpy(data.coffee()).permute(2, 0, 1) / 255
    side = int(np.ceil(np.sqrt(count)))
    rows, columns = (torch.linspace(0, extent - size, side).long().tolist() for extent in picture.shape[1:])
    return torch.stack([picture[:, y : y + size, x : x + size] for y in rows for x in columns])[:count]


def _invert(model: Model, images: Tensor, true: Tensor | None) -> tuple[dict[str, Any], Tensor]:
    """Invert noise-free images; return figures and the images found."""
    exposure = torch.ones_like(images[:, :1])
    objective = Objective.of(model, TileCounts(BRIGHT * images, exposure), 0.0, BRIGHT)
    proposed = propose(objective, template_bank(model, 2048), torch.zeros(len(images))).keep(1)
    start = proposed.latents[:, 0]
    *_, state = refine(objective, start, torch.ones_like(start), 300, 0.05)
    at_random = model.draw_latents((len(images),), torch.Generator().manual_seed(1))
    with torch.no_grad():
        errors = [squared_error(model, z, images).clamp(min=1e-10) for z in (at_random, start, state.latents)]
        found = (1 + model.render(state.latents)) / 2
    reduction = 100 * (1 - errors[2] / errors[0])
    names = ("at random", "proposed", "optimised")
    row: dict[str, Any] = {name: float((-10 * e.log10()).mean()) for name, e in zip(names, errors, strict=True)}
    row |= {"reduction": float(reduction.mean()), "least": float(reduction.min())}
    for name, z in (("latents, proposed", start), ("latents, optimised", state.latents)):
        row[name] = None if true is None else float((z - true).square().mean().sqrt())
    return row, found


def squared_error(model: Model, latents: Tensor, images: Tensor) -> Tensor:
    """Mean squared error of what latents ``(N, d)`` draw and images from 0 to 1, ``(N,)``."""
    return ((1 + model.render(latents)) / 2 - images).square().mean(dim=(1, 2, 3))


def _denoise(model: Path, sigma: float) -> dict[str, Any]:
    truth = data.coffee()[:256, 100:356].astype(np.float64)
    noisy = truth + np.random.default_rng(0).normal(0, sigma, truth.shape)
    means = denoise_nl_means(noisy, h=0.6 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1)
    row: dict[str, Any] = {"sigma": sigma, "noisy": _psnr(truth, noisy), "NLM": _psnr(truth, means)}
    for name, residual in (("ours", True), ("generator alone", False)):
        result = denoise(
            Micrograph(noisy.astype(np.float32), rgb=True),
            model=str(model), noise=Gaussian(sigma=sigma), white=255, residual_step=residual,
        )  # fmt: skip
        row[name] = _psnr(truth, result.rate)
    return row


def _psnr(truth: NDArray[Any], image: NDArray[Any]) -> float:
    return float(peak_signal_noise_ratio(truth / 255, np.clip(image / 255, 0, 1), data_range=1))


def _draw(path: Path, model: Model, shown: list[tuple[Tensor, Tensor]]) -> None:
    """Rows: samples; drawn images and what was found; held-out crops and what was found."""
    (drawn, again), (cut, nearest) = shown
    samples = (1 + model.render(model.draw_latents((SHOWN,), torch.Generator().manual_seed(2)))) / 2
    spread = torch.linspace(0, len(cut) - 1, SHOWN).long()
    write_strips(path, [samples, drawn[:SHOWN], again[:SHOWN], cut[spread], nearest[spread]])


def write_strips(path: Path, strips: list[Tensor]) -> None:
    """Write rows of images, each ``(N, 3, H, W)`` from 0 to 1, one below the other at twice their size."""
    gap = 2
    rows = [
        torch.nn.functional.pad(strip, (0, gap, 0, gap), value=1).permute(2, 0, 3, 1).flatten(1, 2) for strip in strips
    ]
    sheet = torch.cat(rows)[:-gap, :-gap].clamp(0, 1)
    enlarged = (255 * sheet).byte().numpy().repeat(2, 0).repeat(2, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, enlarged)


if __name__ == "__main__":
    typer.run(main)
