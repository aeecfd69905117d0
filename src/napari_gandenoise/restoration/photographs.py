"""Photographs, by constrained generation: what a generator draws, measured as the image was, shall be the image.

Yeh, Lim, Chen, Schwing, Hasegawa-Johnson, Do, "Image restoration with deep generative models" (ICASSP 2018); for holes
before that Yeh et al., "Semantic image inpainting with deep generative models" (CVPR 2017).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_gandenoise.denoising import check_fit, white_level
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model
from napari_gandenoise.operators import Decimate, Identity, Luminance, Mask, Operator, Quantise, poisson_blend
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.restoration.constrained import Drawn, Extra, Restorer, lay_out_restored
from napari_gandenoise.restoration.given import count_missing, denoising_settings, without_missing
from napari_gandenoise.restoration.result import RestoreResult
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.tiling import Tiles

__all__ = ["draws_photographs", "restore_photograph_steps"]

AGREEMENT = 0.2  # of what neighbours draw in a hole; what was seen of it has 1
OFF_LEVEL = 0.05  # of a step; further from a level than this, a value lies between levels


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
        white = white_level(micrograph, denoising_settings(config))
        pixels = torch.from_numpy(np.atleast_3d(without_missing(micrograph, missing) / np.float32(white)))
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


def draws_photographs(model: Model) -> bool:
    """Whether a model draws photographs: they have an up, a white, and no pixel size."""
    header = model.header
    return header.pose == "upright" and header.intensity == "absolute" and header.pixel_size_nm is None


def restore_photograph_steps(
    micrograph: Micrograph,
    missing: NDArray[np.bool_] | None,
    config: RestoreConfig,
    model: Model,
    extra: Extra | None = None,
) -> Steps[RestoreResult]:
    """Restore a photograph by constrained generation, as a generator of events.

    Parameters
    ----------
    micrograph : Micrograph
        From `as_image`.
    missing : ndarray or None
        ``(Y, X)``, from `missing_pixels`; None unless the task is inpaint.
    config : RestoreConfig
        Or settings that hold more: they go into the report as they are.
    model : Model
        One that `draws_photographs`, on the device that computes.
    extra : callable, optional
        What else latents shall be good for, as in `Constraint`.

    Yields
    ------
    Progress
        Stages "start", "brief", "refine" and "blend"; previews are float32, of the result's shape and units.

    Returns
    -------
    RestoreResult
        Its report lacks "seconds".
    """
    photograph = _Photograph.of(micrograph, missing, config, model)
    shape = (photograph.seen.shape[1], photograph.seen.shape[2])
    layout = _around(lay_out_restored(shape, model.size, photograph.factor), missing)
    restorer = Restorer(
        model=model,
        layout=layout.to(photograph.seen.device),
        operator=photograph.operator,
        seen=photograph.seen,
        norm=config.norm,
        prior=config.prior,
        agreement=AGREEMENT,
        restarts=config.restarts,
        steps=config.steps,
        generator=torch.Generator().manual_seed(config.seed),
        extra=extra,
    )
    found = yield from relay(restorer.run(), lambda event: _with_image(event, photograph))
    image, drawn = photograph.fitted(found.image), photograph.in_units(found.image)
    if config.poisson_blending:
        yield Progress("blend", 0, 1, image)
        image = photograph.blended(image, drawn)
    yield Progress("blend", 1, 1, image)
    size = None if micrograph.pixel_size_nm is None else micrograph.pixel_size_nm / photograph.factor
    report = _report(config, model, photograph, found) | {"pixel_size_nm": size}
    report["warnings"] = [*micrograph.warnings, *report["warnings"]]
    latents = found.latents.cpu().numpy()
    return RestoreResult(image, drawn, latents, report, size, micrograph.name, model.channels == 3, micrograph.aspect)


def _around(layout: Tiles, missing: NDArray[np.bool_] | None) -> Tiles:
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
        outcome = f"{count_missing(photograph.missing)}; {outcome}"
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
