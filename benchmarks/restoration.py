"""Restoration of photographs: the five corruptions of Yeh et al. 2018, against classical priors.

Crops of the held-out picture lose their centre, their colours, fifteen pixels of sixteen, their quiet or their levels.
The paper has faces of 64 pixels and a hole of 32; the model here draws 32 pixels of anything, and the hole has 16.

::

    python -m benchmarks.restoration            # trains the model of benchmarks.photographs if it is not there
    python -m benchmarks.restoration --quick    # a model of a few steps: checks that everything runs
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import imageio.v3 as imageio
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from skimage import data
from torch import Tensor

from benchmarks.photographs import CONFIG, MODEL, held_out_crops, train_model
from benchmarks.record import RESULTS, write_result
from benchmarks.restoring import PRIORS, restore_by
from napari_gandenoise.evaluation import psnr, ssim
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.operators import Decimate, Identity, Luminance, Mask, Operator, Quantise
from napari_gandenoise.recovery import recover
from napari_gandenoise.restoration import restore
from napari_gandenoise.settings.recover import REALISM
from napari_gandenoise.settings.restore import DONE, Task

__all__ = ["main"]

FIGURE = Path("docs/images/restoration.png")
COUNT, QUICK_COUNT = 16, 2  # crops
FACTOR, SIGMA, LEVELS = 4, 0.1, 5
STRENGTHS = tuple(np.geomspace(0.004, 1, 5))  # of the priors; the best is taken, by the truth
# Weight of the discriminator's word; the paper's is the first, and restore does without.
VARIANTS = {"ours": REALISM, "ours, without discriminator": 0.0, "ours, realism 1": 1.0}
PLACE = slice(60, 188), slice(240, 368)  # of the held-out picture, in the figure

Image = NDArray[np.float32]


def main(
    model: Annotated[Path, typer.Option(help="Model file.")] = MODEL,
    quick: Annotated[bool, typer.Option(help="Few steps and crops, no figure.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure, write ``restoration.json`` with its table, draw the figure."""
    if quick:
        model = train_model(CONFIG, results / "restoration-run", steps=20)
    elif not model.exists():
        model = train_model(CONFIG, model.parent)
    loaded = load_model(model)
    truths = [_pixels(crop[None]) for crop in held_out_crops(loaded.size, QUICK_COUNT if quick else COUNT)]
    rows: list[dict[str, Any]] = [{"method": name} for name in ("interpolated", *PRIORS, *VARIANTS)]
    strengths: dict[str, dict[str, float]] = {}
    for task in DONE:
        operator = _operator(task, truths[0].shape[:2])
        seen = [_corrupt(operator, truth, number) for number, truth in enumerate(truths)]
        guesses = [_pixels(operator.guess(_tensor(image)).clamp(0, 1)) for image in seen]
        restored, strengths[task] = _classical(operator, seen, truths)
        restored |= _ours(task, operator, seen, model, {"steps": 20} if quick else {})
        for row, images in zip(rows, [guesses, *restored.values()], strict=True):
            row |= _scores(task, truths, images)
        typer.echo(f"{task}: done", err=True)
    if not quick:
        _draw(FIGURE, model)
    notes = (
        f"Model {loaded.name} ({loaded.sha256[:12]}), {len(truths)} crops of {loaded.size} pixels of the held-out "
        "picture (coffee). *inpaint*: a hole of half the side; *colorize*: from the value channel; *super-resolve*: "
        f"÷{FACTOR}, area mean; *denoise*: Gaussian, σ = {SIGMA}; *dequantize*: {LEVELS} levels a channel. PSNR in dB "
        "(data range 1) and SSIM (mean over channels) of whole crops, means over crops. *interpolated*: smooth fill, "
        "grey, bicubic, or what was given. The classical priors have the strength that is best by the truth (PSNR), "
        "one a task; ours has its defaults. Only ours knows of colours."
    )
    typer.echo(write_result(results, "restoration", "Photographs: restoration", notes, rows, strengths=strengths))


def _operator(task: Task, shape: tuple[int, ...]) -> Operator:
    match task:
        case "inpaint":
            known = torch.ones(1, 1, *shape)
            known[..., shape[0] // 4 : -(shape[0] // 4), shape[1] // 4 : -(shape[1] // 4)] = 0
            return Mask(known)
        case "colorize":
            return Luminance()
        case "super-resolve":
            return Decimate(FACTOR)
        case "denoise":
            return Identity()
        case "dequantize":
            return Quantise(LEVELS)


def _corrupt(operator: Operator, truth: Image, seed: int) -> Image:
    if isinstance(operator, Identity):
        return (truth + np.random.default_rng(seed).normal(0, SIGMA, truth.shape)).astype(np.float32)
    return _pixels(operator(_tensor(truth)))


def _classical(
    operator: Operator, seen: list[Image], truths: list[Image]
) -> tuple[dict[str, list[Image]], dict[str, float]]:
    """Restore by each prior at its best strength; return images and strengths."""
    best, chosen = {}, {}
    for name, prior in PRIORS.items():
        tried = {s: [restore_by(prior, operator, image, s).clip(0, 1) for image in seen] for s in STRENGTHS}
        chosen[name] = max(STRENGTHS, key=lambda s: _mean(psnr, truths, tried[s]))
        best[name] = tried[chosen[name]]
    return best, chosen


def _ours(
    task: Task, operator: Operator, seen: list[Image], model: Path, fields: dict[str, Any]
) -> dict[str, list[Image]]:
    fields = {"task": task, "model": str(model), "factor": FACTOR, "levels": LEVELS, "white": 1.0, **fields}
    if isinstance(operator, Mask):
        fields["mask"] = operator.known[0, 0].numpy() == 0
    found = {}
    for name, weight in VARIANTS.items():
        method = partial(recover, realism=weight) if weight else restore
        found[name] = [method(_as_image(image), **fields).image.clip(0, 1) for image in seen]
    return found


def _as_image(image: Image) -> Micrograph:
    return Micrograph(image[..., 0]) if image.shape[2] == 1 else Micrograph(image, rgb=True)


def _scores(task: str, truths: list[Image], images: list[Image]) -> dict[str, float]:
    return {f"{task}, PSNR": _mean(psnr, truths, images), f"{task}, SSIM": _mean(_ssim, truths, images)}


def _mean(metric: Any, truths: list[Image], images: list[Image]) -> float:
    return float(np.mean([metric(truth, image) for truth, image in zip(truths, images, strict=True)]))


def _ssim(truth: Image, image: Image) -> float:
    return float(np.mean([ssim(truth[..., channel], image[..., channel]) for channel in range(3)]))


def _tensor(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()


def _pixels(image: Tensor) -> Image:
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy(), np.float32)


def _draw(path: Path, model: Path) -> None:
    """Columns: the tasks, on a piece of the held-out picture; rows: corrupted, restored, truth."""
    truth = (data.coffee()[PLACE] / 255).astype(np.float32)
    mask = _strokes(truth.shape[:2])
    columns = []
    for task in DONE:
        operator: Operator = Mask(mask) if task == "inpaint" else _operator(task, truth.shape[:2])
        seen = _corrupt(operator, truth, 0)
        (restored,) = list(_ours(task, operator, [seen], model, {}).values())[:1]
        enlarged = seen.repeat(len(truth) // len(seen), 0).repeat(len(truth) // len(seen), 1)
        shown = np.broadcast_to(enlarged, truth.shape)
        columns.append(np.concatenate([_framed(image) for image in (shown, restored[0], truth)]))
    sheet = np.concatenate(columns, axis=1)[:-2, :-2]
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(path, (255 * sheet.clip(0, 1)).round().astype(np.uint8).repeat(2, 0).repeat(2, 1))


def _strokes(shape: tuple[int, ...]) -> Tensor:
    """Return what is known beside a hole of 16 pixels and strokes of 4."""
    known = torch.ones(1, 1, *shape)
    known[..., 70:86, 30:46] = 0
    known[..., 20:24, :] = 0
    known[..., 90:94] = 0
    return known


def _framed(image: NDArray[Any]) -> NDArray[Any]:
    return np.pad(image, ((0, 2), (0, 2), (0, 0)), constant_values=1)


if __name__ == "__main__":
    typer.run(main)
