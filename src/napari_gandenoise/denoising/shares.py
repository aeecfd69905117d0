"""Shares of the evidence of a frame on one grid: one for a network to see, another to judge by what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.denoising.views import View
from napari_gandenoise.tiling import Frame, filled_rate

__all__ = ["Share"]

WHOLE = 1e-3  # electrons: files of counts in single precision are off by less
AROUND = 5  # pixels, of the mean that says how noisy a pixel is, where it is not counted
LEAST = 0.01  # of the mean rate: an expectation of zero would be impossible after one electron


@dataclass(frozen=True)
class Share:
    """Part of what is known of a rate.

    Counts are divided electron by electron, other images by more noise; see `napari_gandenoise.noise.splitting`.
    The shares of either are independent given the rate, and so are their shares.

    Attributes
    ----------
    sums : Tensor
        ``(C, y, x)``, electrons.
    exposure : Tensor
        ``(y, x)``: what a rate, electrons per input pixel, is multiplied by to be what is expected of ``sums``.
    read_variance : float or None
        Electrons² per input pixel; None, if these are whole electrons with counting noise alone.
    whole : float
        Share of the evidence that this is.
    """

    sums: Tensor
    exposure: Tensor
    read_variance: float | None = None
    whole: float = 1.0

    @classmethod
    def of(cls, frame: Frame) -> Share:
        """Take all of a frame, on the input's pixels."""
        exposure = frame.exposure
        counts = frame.counts * exposure
        counted = (
            frame.read_variance == 0 and bool(counts.min() >= 0) and bool((counts - counts.round()).abs().max() < WHOLE)
        )
        return cls(counts, exposure, None if counted else frame.read_variance)

    def on(self, view: View, frame: Frame) -> Share:
        """Return this share of a frame on the grid of a view."""
        means = self.sums if frame.exposed is None else self.sums / frame.exposed.clamp(min=1)
        sums, exposure = view.sums(replace(frame, counts=means))
        return replace(self, sums=sums, exposure=exposure * (self.whole if self.read_variance is None else 1.0))

    @property
    def rate(self) -> Tensor:
        """Electrons per input pixel, ``(C, y, x)``; filled where nothing was seen."""
        return filled_rate(self.sums, self.exposure)

    def cut(self, top: int, left: int, height: int, width: int) -> Share:
        """Cut out a part."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        return replace(self, sums=self.sums[:, rows, columns], exposure=self.exposure[rows, columns])

    def turned(self, turns: int, mirrored: bool) -> Share:
        """Turn by quarter turns, then mirror."""
        sums, exposure = (image.rot90(turns, (-2, -1)) for image in (self.sums, self.exposure))
        if mirrored:
            sums, exposure = sums.flip(-1), exposure.flip(-1)
        return replace(self, sums=sums, exposure=exposure)

    def split(self, share: float, random: np.random.Generator) -> tuple[Share, Share]:
        """Divide into a share and the rest."""
        of_both = self.whole * share, self.whole * (1 - share)
        if self.read_variance is None:
            counts = self.sums.round().clamp(min=0).cpu().numpy().astype(np.int64)
            kept = torch.from_numpy(random.binomial(counts, share)).to(self.sums)
            rest = self.sums - kept
            return (
                replace(self, sums=kept, exposure=share * self.exposure, whole=of_both[0]),
                replace(self, sums=rest, exposure=(1 - share) * self.exposure, whole=of_both[1]),
            )
        more = (1 / share - 1) ** 0.5
        normal = torch.from_numpy(random.standard_normal(self.sums.shape, np.float32)).to(self.sums)
        noise = normal * self.variance().sqrt()
        return (
            replace(self, sums=self.sums + more * noise, whole=of_both[0]),
            replace(self, sums=self.sums - noise / more, whole=of_both[1]),
        )

    def variance(self) -> Tensor:
        """Variance of the sums ``(C, y, x)``, electrons²."""
        if self.read_variance is None:
            return self.sums
        # Of the rate around a pixel and not of the pixel itself, whose error both shares would have.
        planes = functional.pad(self.rate[None], [AROUND // 2] * 4, mode="replicate")
        around = functional.avg_pool2d(planes, AROUND, 1)[0]
        return (self._expected(around) + self.exposure * self.read_variance) / self.whole

    def cost(self, rate: Tensor) -> Tensor:
        """Negative log-likelihood of a rate ``(C, y, x)``, nats a pixel up to a constant."""
        if self.read_variance is not None:
            return (self.sums - self.exposure * rate).square() / (2 * self.variance().clamp(min=1e-12))
        expected = self._expected(rate)
        return expected - self.sums * expected.clamp(min=1e-12).log()

    def _expected(self, rate: Tensor) -> Tensor:
        level = float(self.sums.sum() / self.exposure.sum().clamp(min=1e-12)) / len(self.sums)
        return self.exposure * rate.clamp(min=LEAST * max(level, 1e-9))
