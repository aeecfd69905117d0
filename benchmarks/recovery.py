"""Latent vector recovery: the three tables of Tripathi, Lipton, Nguyen 2018 (arXiv 1803.04477) on our own model.

*Clipping*: images that the generator has drawn, in noise, recovered with the three strategies.  *Sharpness*: recovery
with and without the sharpness attribute, on the images it was measured on and on others.  *Peers*: BM3D, which is given
the noise's standard deviation, beside recovery, on drawn images and on crops of a picture that was held out.

::

    python -m benchmarks.recovery          # trains the model if it is not there: half an hour on one core
    python -m benchmarks.recovery --quick  # a model of a few steps: checks that everything runs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.photographs import held_out_crops, train_model
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.baselines import bm3d
from napari_gandenoise.inversion.bank import bank_for
from napari_gandenoise.inversion.objective import Objective
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.progress import drain
from napari_gandenoise.recovery.clipping import bounds_of
from napari_gandenoise.recovery.latents import recover_latents
from napari_gandenoise.recovery.objective import KINDS
from napari_gandenoise.recovery.sharpness import expose
from napari_gandenoise.settings.noise import Gaussian
from napari_gandenoise.settings.recover import Clipping, ObjectiveName

__all__ = ["main"]

CONFIG = Path(__file__).parents[1] / "configs" / "photographs-uniform.yaml"
MODEL = Path("runs/photographs-uniform/photographs-uniform.safetensors")
BATCH = 50
SIGMAS = (64, 127, 184)  # on eight bits; the last two are the paper's
LEVELS = (0.25, 0.5, 1.0)  # of noise over the templates' range, for the bundled model

# The papers' recovery: one latent drawn from the prior, followed by its gradient.
PUBLISHED = Preset(32, 1, 0, 1, False, 1, 0, 200, 0.05, 0.0)


@dataclass(frozen=True)
class Method:
    """How latents are recovered."""

    name: str
    preset: Preset
    objective: ObjectiveName
    clipping: Clipping = "stochastic"


LVR = Method("published", PUBLISHED, "squared")
BALANCED = Method("balanced", PRESETS["balanced"], "likelihood", "projected")


@dataclass(frozen=True)
class Counts:
    """How many images each part takes."""

    clipping: int
    sharpness: int
    bundled: int
    peers: int
    sigmas: tuple[int, ...] = SIGMAS
    levels: tuple[float, ...] = LEVELS


FULL = Counts(clipping=100, sharpness=400, bundled=100, peers=100)
QUICK = Counts(clipping=4, sharpness=6, bundled=4, peers=4, sigmas=(127,), levels=(0.5,))


def main(
    model: Annotated[Path, typer.Option(help="Model file: colour photographs with a uniform prior.")] = MODEL,
    quick: Annotated[bool, typer.Option(help="Few steps and images.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure; write ``recovery_clipping``, ``recovery_sharpness`` and ``recovery_peers`` with their tables."""
    if quick:
        model = train_model(CONFIG, results / "recovery-run", steps=20, encoder_steps=10)
    elif not model.exists():
        model = train_model(CONFIG, model.parent)
    loaded, counts = load_model(model), QUICK if quick else FULL
    about = f"Model {loaded.name} ({loaded.sha256[:12]}), {loaded.size}×{loaded.size} pixels, {loaded.latent} latents."
    notes = (
        f"{about} Images that it has drawn. *Published*: one latent from the prior, {PUBLISHED.refine} steps on the "
        "squared error; *balanced*: our preset, which starts from encoder and template bank. PSNR in dB, data range 1, "
        "± its standard error; *latents*: root mean square error of a component; *at bounds*: components on or beyond "
        "them, %."
    )
    typer.echo(write_result(results, "recovery_clipping", "Recovery: clipping", notes, list(_clipping(loaded, counts))))
    rows, attributes = _sharpness(loaded, counts)
    notes = (
        f"{about} LVR recovers, LVR-SA adds the mean difference of true and recovered latents of {counts.sharpness} "
        "images: on these, and on as many others. *8 bits*: noisy values are cut off at black and white. The level is "
        f"sigma over white; for the bundled model (normal prior, {counts.bundled} images each) that of a pixel over "
        "the templates' range. PSNR in dB over the range; latents as above."
    )
    typer.echo(write_result(results, "recovery_sharpness", "Recovery: sharpness attribute", notes, rows))
    notes = (
        f"{about} {counts.peers} images each; held out: crops of a picture that the model has not seen. BM3D is given "
        "sigma, LVR (published) is not; LVR-SA uses it to choose the attribute, which was measured on other drawn "
        "images with the same noise. *Nearest*: what the model comes to without noise. PSNR in dB, data range 1."
    )
    peers = list(_peers(loaded, counts, attributes))
    typer.echo(write_result(results, "recovery_peers", "Recovery: peers", notes, peers))


def _clipping(model: Model, counts: Counts) -> Iterator[dict[str, Any]]:
    """Yield the rows of the first table."""
    true = _latents(model, counts.clipping, 11)
    drawn = _render(model, true)
    for sigma in (0, 127):
        for method in (LVR, BALANCED):
            for clipping in ("none", "projected", "stochastic"):
                # Without noise the search still wants a level: half a grey value.
                found = _recover(model, drawn, max(sigma, 0.5) / 255, replace(method, clipping=clipping))
                psnr = _psnr(model, found, drawn)
                yield {
                    "sigma": sigma,
                    "start": method.name,
                    "clipping": clipping,
                    "PSNR": float(psnr.mean()),
                    "±": float(psnr.std() / len(psnr) ** 0.5),
                    "latents": _miss(found, true),
                    "at bounds": 100 * float((found.abs() >= 1).float().mean()),
                }


def _sharpness(model: Model, counts: Counts) -> tuple[list[dict[str, Any]], dict[tuple[float, bool], Tensor]]:
    """Return the rows of the second table, and the attributes of the published recovery by level and saturation."""
    rows, attributes = [], {}
    for method in (LVR, BALANCED):
        for saturated in (False, True):
            for sigma in counts.sigmas:
                level = sigma / 255
                row, shift = _same_and_other(model, counts.sharpness, level, method, saturated)
                noise = "8 bits" if saturated else "unlimited"
                rows.append({"model": model.name, "recovery": method.name, "noise": noise, "level": level, **row})
                if method is LVR:
                    attributes[level, saturated] = shift
    bundled = load_model("hrtem")
    for level in counts.levels:
        row, _ = _same_and_other(bundled, counts.bundled, level, BALANCED, False)
        rows.append({"model": "hrtem", "recovery": BALANCED.name, "noise": "Poisson", "level": level, **row})
    return rows, attributes


def _same_and_other(
    model: Model, images: int, level: float, method: Method, saturated: bool
) -> tuple[dict[str, Any], Tensor]:
    """Measure the attribute on one set of images; apply it to these and to others."""
    row: dict[str, Any] = {}
    shift = torch.zeros(model.latent)
    for name, seed in (("same", 21), ("other", 22)):
        true = _latents(model, images, seed)
        drawn = _render(model, true)
        found = _recover(model, drawn, level, method, saturated=saturated, seed=seed)
        if name == "same":
            shift = (true - found).mean(dim=0)
        sharp = model.within_prior(found + shift)
        for title, latents in (("LVR", found), ("LVR-SA", sharp)):
            row[f"{title}, {name}"] = float(_psnr(model, latents, drawn).mean())
        row[f"latents, {name}"] = f"{_miss(found, true):.3f} → {_miss(sharp, true):.3f}"
    return row, shift


def _peers(model: Model, counts: Counts, attributes: dict[tuple[float, bool], Tensor]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the third table."""
    crops = 2 * held_out_crops(model.size, counts.peers) - 1
    for name, images in (("drawn", _render(model, _latents(model, counts.peers, 31))), ("held out", crops)):
        nearest = float(_psnr(model, _recover(model, images, 0.5 / 255, LVR), images).mean())
        for (level, saturated), shift in attributes.items():
            if round(255 * level) not in (127, 184):
                continue
            objectives = list(_exposed(model, images, level, LVR, saturated, seed=32))
            found = torch.cat([_follow(objective, LVR, seed=33) for objective in objectives])
            noisy = torch.cat([objective.tiles.counts / (2 * objective.mean) for objective in objectives])
            yield {
                "images": name,
                "sigma": round(255 * level),
                "noise": "8 bits" if saturated else "unlimited",
                "noisy": float(_image_psnr(noisy, images).mean()),
                "BM3D": float(_image_psnr(_bm3d(noisy, level), images).mean()),
                "LVR": float(_psnr(model, found, images).mean()),
                "LVR-SA": float(_psnr(model, model.within_prior(found + shift), images).mean()),
                "nearest": nearest,
            }


def _latents(model: Model, count: int, seed: int) -> Tensor:
    return model.draw_latents((count,), torch.Generator().manual_seed(seed))


@torch.no_grad()
def _render(model: Model, latents: Tensor) -> Tensor:
    return torch.cat([model.render(part) for part in latents.split(BATCH)])


def _exposed(
    model: Model, templates: Tensor, level: float, method: Method, saturated: bool, seed: int
) -> Iterator[Objective]:
    """Yield batches of images with noise, the same for every method."""
    generator = torch.Generator().manual_seed(seed)
    for part in templates.split(BATCH):
        yield expose(model, part, level, generator, KINDS[method.objective], saturated=saturated)


def _recover(
    model: Model, templates: Tensor, level: float, method: Method, *, saturated: bool = False, seed: int = 12
) -> Tensor:
    """Recover the latents of noisy images."""
    batches: Iterable[Objective] = _exposed(model, templates, level, method, saturated, seed)
    total = -(-len(templates) // BATCH)
    shown = tqdm(batches, f"{model.name}, {method.name}, {method.clipping}, {level:.2g}", total, disable=None)
    return torch.cat([_follow(objective, method, seed + 1) for objective in shown])


def _follow(objective: Objective, method: Method, seed: int) -> Tensor:
    bank = bank_for(objective.model, method.preset)
    generator = torch.Generator().manual_seed(seed)
    bounds = bounds_of(method.clipping, generator)
    return drain(recover_latents(objective, method.preset, generator, bank, bounds))


def _bm3d(noisy: Tensor, level: float) -> Tensor:
    """Denoise images ``(N, 3, H, W)`` from 0 to 1, one by one."""
    noise = Gaussian(sigma=level)
    images = [bm3d(image, noise=noise, threads=1) for image in noisy.permute(0, 2, 3, 1).numpy().astype(np.float64)]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _psnr(model: Model, latents: Tensor, templates: Tensor) -> Tensor:
    """PSNR ``(N,)`` of drawn templates over their range, within the mask, dB."""
    inside = tile_mask(model.header.pose, model.size)
    error = ((_render(model, latents) - templates) * inside).square().sum(dim=(1, 2, 3)) / 4
    return -10 * (error / (inside.sum() * model.channels)).clamp(min=1e-10).log10()


def _image_psnr(images: Tensor, templates: Tensor) -> Tensor:
    """PSNR ``(N,)`` of images from 0 to 1, dB."""
    return -10 * (images.clamp(0, 1) - (1 + templates) / 2).square().mean(dim=(1, 2, 3)).log10()


def _miss(found: Tensor, true: Tensor) -> float:
    return float((found - true).square().mean().sqrt())


if __name__ == "__main__":
    typer.run(main)
