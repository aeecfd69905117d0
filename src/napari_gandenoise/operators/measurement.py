"""Measurement operators of Yeh et al., "Image restoration with deep generative models" (ICASSP 2018), section 2.

All take images ``(N, C, H, W)`` from black 0 to white 1 and can be differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.operators.poisson import poisson_blend

__all__ = ["Decimate", "Identity", "Luminance", "Mask", "Operator", "Quantise"]

BACK_PROJECTIONS = 10
DARK = 1e-6  # of white: a colour as dark as this has no hue


class Operator(Protocol):
    """What was done to an image."""

    def __call__(self, image: Tensor) -> Tensor:
        """Measure images ``(N, C, H, W)`` as the one at hand was measured."""

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Say how far the measurement of images is from what was seen, pixel by pixel; shaped like ``seen``."""

    def guess(self, seen: Tensor) -> Tensor:
        """Make images ``(N, C, H, W)`` of what was seen, to start from."""

    def project(self, image: Tensor, seen: Tensor) -> Tensor:
        """Change images as little as it takes to measure as what was seen, where that is to be trusted."""


@dataclass(frozen=True)
class Identity:
    """Everything was seen, with noise: nothing of it is to be trusted to the digit."""

    def __call__(self, image: Tensor) -> Tensor:
        """Return the images."""
        return image

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Return the difference."""
        return image - seen

    def guess(self, seen: Tensor) -> Tensor:
        """Return what was seen."""
        return seen

    def project(self, image: Tensor, seen: Tensor) -> Tensor:  # noqa: ARG002
        """Return the images."""
        return image


@dataclass(frozen=True)
class Mask:
    """Some pixels were not seen.

    Attributes
    ----------
    known : Tensor
        ``(N, 1, H, W)`` or ``(1, 1, H, W)``: one where a pixel was seen, else zero.
    """

    known: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """Set what was not seen to zero."""
        return image * self.known

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Return the difference; zero where nothing was seen."""
        return (image - seen) * self.known

    def guess(self, seen: Tensor) -> Tensor:
        """Fill what was not seen as smoothly as can be; of each image something must have been seen."""
        holes = (self.known[:, 0] == 0).expand(len(seen), -1, -1).cpu().numpy()
        images = seen.permute(0, 2, 3, 1).cpu().numpy()
        filled = [poisson_blend(image, np.zeros_like(image), hole) for image, hole in zip(images, holes, strict=True)]
        return torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2).to(seen)

    def project(self, image: Tensor, seen: Tensor) -> Tensor:
        """Put back what was seen."""
        return torch.where(self.known > 0, seen, image)


@dataclass(frozen=True)
class Luminance:
    """The colours were lost; left is the value channel of hue, saturation and value: the largest of red, green, blue.

    A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """Return values ``(N, 1, H, W)`` of colours ``(N, 3, H, W)``."""
        return image.amax(dim=1, keepdim=True)

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Return the difference of values."""
        return self(image) - seen

    def guess(self, seen: Tensor) -> Tensor:
        """Return greys."""
        return seen.expand(-1, 3, -1, -1)

    def project(self, image: Tensor, seen: Tensor) -> Tensor:
        """Keep hue and saturation, set the value; black, which has no hue, becomes grey."""
        value = self(image)
        return torch.where(value > DARK, image * (seen / value.clamp(min=DARK)), self.guess(seen))


@dataclass(frozen=True)
class Decimate:
    """Pixels were averaged over squares: what a detector with larger pixels sees.

    Attributes
    ----------
    factor : int
        Side of a square, pixels.
    """

    factor: int

    def __call__(self, image: Tensor) -> Tensor:
        """Average, ``(N, C, H / factor, W / factor)``."""
        return functional.avg_pool2d(image, self.factor)

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Return the difference of averages."""
        return self(image) - seen

    def guess(self, seen: Tensor) -> Tensor:
        """Interpolate by cubic splines."""
        enlarged: Tensor = functional.interpolate(seen, scale_factor=self.factor, mode="bicubic", align_corners=False)
        return enlarged

    def project(self, image: Tensor, seen: Tensor) -> Tensor:
        """Add the interpolated differences again and again, at last what remains as it is.

        Adding the differences themselves would be the nearest image, with the squares showing (iterative back
        projection: Irani, Peleg, CVGIP 53 (1991) 231).
        """
        for _ in range(BACK_PROJECTIONS):
            image = image - self.guess(self.misfit(image, seen))
        return image - functional.interpolate(self.misfit(image, seen), scale_factor=self.factor)


@dataclass(frozen=True)
class Quantise:
    """Each channel was rounded to the nearest of evenly spaced levels.

    What was seen says that the image lies within half a step of it, and nothing of where in there; so this is what the
    misfit knows.  The derivative of the rounding, taken for one ("straight through"), would pull towards the levels.

    Attributes
    ----------
    levels : int
        Number of levels, black and white among them.
    """

    levels: int

    def __call__(self, image: Tensor) -> Tensor:
        """Round to the nearest level."""
        return (image * (self.levels - 1)).round() / (self.levels - 1)

    def misfit(self, image: Tensor, seen: Tensor) -> Tensor:
        """Return how far outside of its interval a pixel lies."""
        return image - self.project(image, seen)

    def guess(self, seen: Tensor) -> Tensor:
        """Return the levels."""
        return seen

    def project(self, image: Tensor, seen: Tensor) -> Tensor:
        """Bring pixels into their intervals."""
        half = 0.5 / (self.levels - 1)
        return torch.minimum(torch.maximum(image, seen - half), seen + half)
