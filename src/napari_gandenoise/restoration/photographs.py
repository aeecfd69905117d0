"""Restoration by constrained generation: what a generator draws, measured as the image was, shall be the image.

Yeh, Lim, Chen, Schwing, Hasegawa-Johnson, Do, "Image restoration with deep generative models" (ICASSP 2018); for holes
before that Yeh et al., "Semantic image inpainting with deep generative models" (CVPR 2017).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_gandenoise.denoising import (
    as_micrograph,
    check_fit,
    computing_device,
    denoise_steps,
    white_level,
)
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.constrained import Drawn, Restorer, lay_out_restored
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model, load_latent_model
from napari_gandenoise.operators import Decimate, Identity, Luminance, Mask, Operator, Quantise, poisson_blend
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import DONE, RestoreConfig, Task
from napari_gandenoise.tiling import Layout

__all__ = ["RestoreResult", "restore", "restore_steps"]

AGREEMENT = 0.2  # of what neighbours draw in a hole; what was seen of it has 1
OFF_LEVEL = 0.05  # of a step; further from a level than this, a value lies between levels


@dataclass(frozen=True)
class RestoreResult:
    """A restored image.

    Attributes
    ----------
    image : ndarray
        Restored image, float32, in the units of the input; super-resolve: ``factor`` times as large.
    drawn : ndarray
        What the generator drew, tiles blended, before it is made to fit the input exactly; shape and units of `image`.
    latents : ndarray
        ``(tiles, d)``.
    report : dict
        Provenance and figures, ready for JSON: "config", "model", "model_sha256", "pixel_size_nm", "white", "tiles",
        "steps", "loss", "realism", "seconds", "seed", "warnings", "versions".
    pixel_size_nm : float or None
        Pixel size of `image`, nm; None if nobody knows it, as of a photograph.
    name : str
        Name of the input.
    colours : bool
        Whether the last axis of `image` is colours.
    """

    image: NDArray[np.float32]
    drawn: NDArray[np.float32]
    latents: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    colours: bool = False

    @property
    def axes(self) -> str:
        """Meaning of the axes of the image: YX, TYX or YXS."""
        return "YXS" if self.colours else "TYX" if self.image.ndim == 3 else "YX"

    def summary(self) -> str:
        """One line: what was done, and how close the generator came to the input."""
        return f"{DONE[self.report['config']['task']]}: {self.report['outcome']}"

    def to_layer_data(self) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        """Return data, keyword arguments and type of a napari layer of the restored image."""
        return self.to_layers()[0]

    def to_layers(self, drawn: bool = False) -> list[tuple[NDArray[np.float32], dict[str, Any], str]]:
        """Return the layers of the result: the restored image, and if asked for what the generator drew."""
        stem = f"{self.name} · " if self.name else ""
        done = DONE[self.report["config"]["task"]]
        layers = [self._layer(self.image, f"{stem}{done} ({self.report['model']})")]
        if drawn:
            layers.append(self._layer(self.drawn, f"{stem}drawn"))
        return layers

    def _layer(self, data: NDArray[np.float32], name: str) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        options: dict[str, Any] = {"name": name, "metadata": {"napari-gandenoise": self.report}}
        if self.colours:
            # napari shows float colours from 0 to 1.
            options["rgb"] = True
            data = np.clip(data / self.report["white"], 0, 1).astype(np.float32)
        else:
            low, high = (float(limit) for limit in np.percentile(self.image, (0.1, 99.9)))
            options |= {"colormap": "gray", "contrast_limits": (low, max(high, low + 1e-6))}
        frames = self.image.ndim - 2 - self.colours
        factor = self.report["factor"]
        side = 1 / factor if self.pixel_size_nm is None else self.pixel_size_nm
        if factor > 1:
            # Pixels lie around their centres: the first small one begins where the first large one did.
            options["translate"] = (0.0,) * frames + ((1 - factor) / 2 * side,) * 2
        if factor > 1 or self.pixel_size_nm is not None:
            options["scale"] = (1.0,) * frames + (side,) * 2
        if self.pixel_size_nm is not None:
            options["units"] = ("pixel",) * frames + ("nm",) * 2
        return data, options, "image"


def restore_steps(
    image: Any, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any
) -> Steps[RestoreResult]:
    """Restore as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, mask, **fields
        As for `restore`.

    Yields
    ------
    Progress
        Stages "start", "brief", "refine" and "blend"; the preview is the image so far, float32, of the result's shape,
        in the input's units.  Micrographs: the stages of `denoise_steps`.

    Returns
    -------
    RestoreResult
        What `restore` returns.
    """
    config = configure(RestoreConfig, config, fields)
    started = time.perf_counter()
    yield Progress("start", 0, 1)
    model = load_latent_model(config.model)
    micrograph = _as_image(image, config, model)
    missing = _missing(mask, micrograph, config.task)
    header = model.header
    if header.pose == "upright" and header.intensity == "absolute" and header.pixel_size_nm is None:
        model = model.to(computing_device(_denoise_config(config)))
        result = yield from _restore_photograph(micrograph, missing, config, model)
    elif config.task in ("inpaint", "denoise"):
        result = yield from _restore_micrograph(micrograph, missing, config)
    else:
        raise GanDenoiseError(
            f"The model {model.name} is for micrographs, which can be inpainted and denoised: to {config.task}, choose "
            "a model of photographs."
        )
    result.report["seconds"] = round(time.perf_counter() - started, 3)
    return result


def restore(image: Any, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any) -> RestoreResult:
    """Restore an image: fill holes, add colours, pixels or grey levels, take noise away.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)``, or ``(Y, X, C)`` for a model of colours.
    config : RestoreConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``restore(image, task="inpaint", mask=mask)``.
    mask : array, path or napari layer, optional
        ``(Y, X)``, for inpaint: what is not zero is missing and will be drawn.

    Returns
    -------
    RestoreResult
        The restored image in the input's units, and the report.

    Raises
    ------
    GanDenoiseError
        If the image, the mask or the settings do not fit, in one sentence.
    """
    return drain(restore_steps(image, config, mask=mask, **fields))


def _denoise_config(config: RestoreConfig) -> DenoiseConfig:
    """Return the settings that both jobs have."""
    return DenoiseConfig(**config.model_dump(include={"model", "pixel_size_nm", "seed", "device", "white"}))


# --- what came in ---------------------------------------------------------------------------------------------------


def _as_image(image: Any, config: RestoreConfig, model: Model) -> Micrograph:
    """Take whatever `as_micrograph` takes; for a model of colours a bare ``(Y, X, 3)`` is no movie."""
    micrograph = as_micrograph(image, _denoise_config(config))
    if model.channels == 3 and micrograph.is_stack and micrograph.pixels.shape[-1] in (3, 4):
        micrograph = as_micrograph(replace(micrograph, rgb=True), _denoise_config(config))
    if micrograph.is_stack and (config.task != "denoise" or model.pixel_size_nm is None):
        raise GanDenoiseError(f"This is a movie, but one image at a time can be {DONE[config.task]}: pick a frame.")
    return micrograph


def _missing(mask: Any, micrograph: Micrograph, task: Task) -> NDArray[np.bool_] | None:
    """Return where pixels are missing ``(Y, X)``; None unless the task is inpaint."""
    if task != "inpaint":
        if mask is not None:
            raise GanDenoiseError(f"A mask says where to inpaint, but the task is {task}: leave one of them out.")
        return None
    if mask is None:
        raise GanDenoiseError("To inpaint, a mask must say what is missing: pass one of the image's shape.")
    if isinstance(mask, str | PathLike):
        mask = read_micrograph(Path(mask)).pixels
    elif hasattr(mask, "data") and hasattr(mask, "scale"):  # a napari layer
        mask = mask.data
    marks = np.asarray(mask)
    if marks.ndim == 3 and marks.shape[2] in (3, 4):
        marks = marks[..., :3].max(axis=2)  # a picture of a mask
    missing: NDArray[np.bool_] = marks != 0
    shape = tuple(micrograph.pixels.shape[:2])
    if missing.shape != shape:
        theirs, ours = ("×".join(map(str, sides)) for sides in (missing.shape, shape))
        raise GanDenoiseError(f"The mask has {theirs} pixels and the image {ours}: they must be alike.")
    if not missing.any():
        raise GanDenoiseError("The mask is empty, so that nothing is missing: mark what is to be drawn.")
    if missing.all():
        raise GanDenoiseError("The mask covers everything, so that nothing is known: leave some of the image free.")
    return missing


def _pixels(micrograph: Micrograph, missing: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Load an image; what is missing becomes zero."""
    image = np.asarray(micrograph.pixels).astype(np.float32)
    if missing is not None:
        image[missing] = 0  # may be NaN, as dead pixels often are
    bad = int((~np.isfinite(image)).sum())
    if bad:
        raise GanDenoiseError(f"{micrograph.name or 'The image'} has {bad} NaN or infinite pixels: replace them first.")
    return image


# --- micrographs: the Poisson likelihood of the counts that there are -----------------------------------------------


def _restore_micrograph(
    micrograph: Micrograph, missing: NDArray[np.bool_] | None, config: RestoreConfig
) -> Steps[RestoreResult]:
    if missing is not None:
        micrograph = replace(micrograph, pixels=_pixels(micrograph, missing))
    found = yield from denoise_steps(micrograph, _denoise_config(config), missing=missing)
    image, outcome = found.rate, found.summary()
    if missing is not None:
        image = np.where(missing, found.rate, micrograph.pixels).astype(np.float32)
        outcome = f"{_count(missing)}; {outcome}"
    own = {"config": config.model_dump(mode="json"), "factor": 1, "outcome": outcome}
    latents, colours = np.concatenate(found.latents), found.axes == "YXS"
    return RestoreResult(image, found.rate, latents, {**found.report, **own}, found.pixel_size_nm, found.name, colours)


def _count(missing: NDArray[np.bool_]) -> str:
    return f"{missing.sum():,} pixels drawn ({100 * missing.mean():.2g} %)"


# --- photographs: constrained generation ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Photograph:
    """What is to be restored, from black 0 to white 1."""

    seen: Tensor
    operator: Operator
    white: float
    factor: int = 1
    missing: NDArray[np.bool_] | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, micrograph: Micrograph, missing: NDArray[np.bool_] | None, config: RestoreConfig, model: Model
    ) -> _Photograph:
        """Check an image and find what was done to it."""
        white = white_level(micrograph, _denoise_config(config))
        pixels = torch.from_numpy(np.atleast_3d(_pixels(micrograph, missing) / np.float32(white)))
        seen = pixels.permute(2, 0, 1).to(next(model.generator.parameters()).device)
        if config.task != "colorize":
            check_fit(micrograph, model)
        match config.task:
            case "inpaint":
                assert missing is not None
                known = torch.from_numpy(~missing)[None, None].to(seen)
                return cls(seen, Mask(known), white, missing=missing)
            case "colorize":
                return cls._without_colours(seen, white, model)
            case "super-resolve":
                return cls(seen, Decimate(config.factor), white, config.factor)
            case "denoise":
                return cls(seen, Identity(), white)
            case "dequantize":
                return cls(seen, Quantise(config.levels), white, warnings=_between_levels(seen, config.levels))

    @classmethod
    def _without_colours(cls, seen: Tensor, white: float, model: Model) -> _Photograph:
        if model.channels != 3:
            raise GanDenoiseError(f"The model {model.name} draws grey images: to colorize, choose a model of colours.")
        if len(seen) == 1:
            return cls(seen, Luminance(), white)
        warning = "The image has colours already: only its value channel, the largest of red, green and blue, is used."
        return cls(Luminance()(seen[None])[0], Luminance(), white, warnings=[warning])

    def fitted(self, image: Tensor) -> NDArray[np.float32]:
        """Make what was drawn ``(C, Y, X)`` measure as what was seen; in the input's units."""
        return self.in_units(self.operator.project(image[None], self.seen[None])[0])

    def in_units(self, image: Tensor) -> NDArray[np.float32]:
        """Return an image as it came in: ``(Y, X)`` or ``(Y, X, C)``."""
        pixels = (image * self.white).permute(1, 2, 0).cpu().numpy().astype(np.float32)
        return pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)

    def blended(self, image: NDArray[np.float32], drawn: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give what was drawn into holes the values of what is around them."""
        if self.missing is None:
            return image
        smooth = poisson_blend(image, drawn, self.missing)
        smooth[self.missing] = smooth[self.missing].clip(0, self.white)
        return smooth

    def misfit(self, image: Tensor) -> float:
        """Mean absolute misfit of what was drawn, of white."""
        misfit = self.operator.misfit(image[None], self.seen[None]).abs()
        share = 1.0 if self.missing is None else 1 - float(self.missing.mean())
        return float(misfit.mean()) / share


def _between_levels(seen: Tensor, levels: int) -> list[str]:
    """Warn if an image was not quantised to so many levels."""
    position = seen * (levels - 1)
    off = float(((position - position.round()).abs() > OFF_LEVEL).float().mean())
    if off < 0.01:
        return []
    return [f"{100 * off:.0f} % of the values lie between the {levels} levels: check the levels, and the white."]


def _restore_photograph(
    micrograph: Micrograph, missing: NDArray[np.bool_] | None, config: RestoreConfig, model: Model
) -> Steps[RestoreResult]:
    photograph = _Photograph.of(micrograph, missing, config, model)
    shape = (photograph.seen.shape[1], photograph.seen.shape[2])
    layout = _around(lay_out_restored(shape, model.size, photograph.factor), missing)
    restorer = Restorer(
        model=model,
        layout=replace(layout, centres=layout.centres.to(photograph.seen.device)),
        operator=photograph.operator,
        seen=photograph.seen,
        norm=config.norm,
        realism=0.0,
        prior=config.prior,
        agreement=AGREEMENT,
        restarts=config.restarts,
        steps=config.steps,
        generator=torch.Generator().manual_seed(config.seed),
    )
    found = yield from relay(restorer.run(), lambda event: _with_image(event, photograph))
    image, drawn = photograph.fitted(found.image), photograph.in_units(found.image)
    if config.poisson_blending:
        yield Progress("blend", 0, 1, image)
        image = photograph.blended(image, drawn)
    yield Progress("blend", 1, 1, image)
    size = None if micrograph.pixel_size_nm is None else micrograph.pixel_size_nm / photograph.factor
    report = _report(config, model, photograph, found) | {"pixel_size_nm": size}
    latents = found.latents.cpu().numpy()
    return RestoreResult(image, drawn, latents, report, size, micrograph.name, model.channels == 3)


def _around(layout: Layout, missing: NDArray[np.bool_] | None) -> Layout:
    """Leave out tiles that hold no missing pixel, nor a neighbour of one."""
    if missing is None:
        return layout
    near = ndimage.binary_dilation(missing)
    corners = (layout.centres - (layout.size - 1) / 2).round().long().clamp(min=0).tolist()
    ends = (layout.centres + (layout.size + 1) / 2).round().long().tolist()
    kept = [bool(near[y:below, x:right].any()) for (y, x), (below, right) in zip(corners, ends, strict=True)]
    return replace(layout, centres=layout.centres[torch.tensor(kept)])


def _with_image(event: Progress, photograph: _Photograph) -> Progress:
    return event if event.preview is None else replace(event, preview=photograph.fitted(event.preview))


def _report(config: RestoreConfig, model: Model, photograph: _Photograph, found: Drawn) -> dict[str, Any]:
    misfit = photograph.misfit(found.image)
    outcome = f"the generator is {100 * misfit:.1f} % of white from the input"
    if photograph.missing is not None:
        outcome = f"{_count(photograph.missing)}; {outcome}"
    return {
        "config": config.model_dump(mode="json"),
        "model": model.name,
        "model_sha256": model.sha256,
        "white": photograph.white,
        "factor": photograph.factor,
        "tiles": len(found.latents),
        "steps": found.tile_steps,
        "loss": found.loss,
        "misfit": misfit,
        "outcome": outcome,
        "seed": config.seed,
        "warnings": photograph.warnings,
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
    }
