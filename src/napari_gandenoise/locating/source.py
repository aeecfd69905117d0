"""What columns are found in: noisy frames beside denoised ones, as electrons on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.denoising import DenoiseResult, FirstFrame, as_micrograph
from napari_gandenoise.denoising.evidence import Evidence
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import Columns
from napari_gandenoise.locating.measuring import Counted
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.noise.units import Units
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.tiling import grid_counts

__all__ = ["Source"]

FINE = 8  # grid pixels that planes of columns are apart at least: finer ones tell nothing more, and have fewer counts


@dataclass(frozen=True)
class Source:
    """A micrograph and what it is denoised.

    Attributes
    ----------
    noisy : Micrograph
        The image or movie.
    rate : ndarray
        ``(Y, X)`` or ``(T, Y, X)``, denoised, in its units.
    noise : AnyNoise
        How its values stand for electrons.
    report : dict
        How it was denoised.
    correlated : bool
        Whether pixels share their noise.
    judged : bool
        Whether it is known already which pixels say nothing.
    samples : ndarray or None
        ``(n, Y, X)``: what an image, no movie, could be in place of the rate.
    """

    noisy: Micrograph
    rate: NDArray[Any]
    noise: AnyNoise
    report: dict[str, Any] = field(default_factory=dict)
    correlated: bool = False
    judged: bool = False
    samples: NDArray[np.float32] | None = None

    @classmethod
    def of_result(cls, result: DenoiseResult, config: ColumnsConfig, noisy: Micrograph | None = None) -> Source:
        """Take the image and the denoised one from a result."""
        _check_grey(result.axes != "YXS")
        if noisy is None:
            pixels = result.rate.astype(np.float64) + result.residual
            noisy = Micrograph(pixels, pixel_size_nm=result.pixel_size_nm, name=result.name, aspect=result.aspect)
        if config.pixel_size_nm is not None:
            noisy = Micrograph.of(noisy, pixel_size_nm=config.pixel_size_nm)
        noise = config.noise or DenoiseConfig.model_validate({"noise": result.report["noise"]}).noise
        assert noise is not None
        noisy = replace(noisy, missing=result.missing)
        return cls(noisy, result.rate, noise, result.report, result.report["correlated"], True, result.samples)

    @classmethod
    def of_images(cls, noisy: Micrograph, denoised: Any, config: ColumnsConfig) -> Source:
        """Take the denoised image of a micrograph from anywhere.

        Raises
        ------
        GanDenoiseError
            If it is none of the same view.
        """
        _check_grey(not noisy.rgb)
        shown = as_micrograph(denoised, DenoiseConfig())
        _check_grey(not shown.rgb)
        theirs, ours = tuple(shown.pixels.shape), tuple(noisy.pixels.shape)
        if theirs != ours:
            raise GanDenoiseError(
                f"The denoised image is {_sides(theirs)} and the image is {_sides(ours)}: they must be of the same "
                "view and have the same pixels."
            )
        if noisy.pixel_size_nm is None:
            noisy = replace(noisy, pixel_size_nm=shown.pixel_size_nm, aspect=shown.aspect)
        report = dict(shown.report or {})
        if noisy.noise is not None:
            return cls(noisy, shown.pixels, cast("AnyNoise", noisy.noise), report)
        first = FirstFrame.of(noisy, config.denoising())
        return cls(noisy, shown.pixels, first.noise, report, correlated=bool(first.shared()))

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.noisy.frames

    @cached_property
    def summed(self) -> int:
        """Pixels along a side that are summed into one of the grid, by how fine the columns are that are shown."""
        for index in range(self.frames):
            try:
                return max(1, int(Columns.of(self._rate(index)).planes / FINE))
            except GanDenoiseError:  # no lattice: another frame may have one
                continue
        return 1

    def counted(self, index: int) -> Counted | None:
        """Bring a frame to electrons on the grid; None of a frame without a pixel that has a value.

        Raises
        ------
        GanDenoiseError
            If a denoised pixel has no value, or the values are no electrons.
        """
        frame = self.noisy.frame(index)
        pixels, missing = np.asarray(frame.pixels), frame.missing
        if not self.judged:
            evidence = Evidence.of(frame, DenoiseConfig())
            if evidence.empty:
                return None
            pixels, missing = evidence.pixels, evidence.missing
        elif missing is not None:
            pixels = np.where(missing, self._rate(index), pixels)
        units = Units.of(self.noise, pixels)
        electrons = units.to_electrons(pixels, self.noisy.name, counted=False)
        rate = units.to_electrons(self._rate(index), "The denoised image", counted=False)
        exposed = np.ones(electrons.shape) if missing is None else ~missing
        sums, exposure = grid_counts(_plane(electrons), self.summed, torch.from_numpy(exposed.astype(np.float64)))
        shown, inside = grid_counts(_plane(rate), self.summed)
        whole = self.summed**2
        return Counted(
            sums[0].numpy(),
            exposure.numpy() / whole,
            exposure.numpy() * units.read_variance,
            (shown[0] / inside * whole).clamp(min=0).numpy(),
        )

    def samples_of(self, index: int) -> Iterator[NDArray[np.float64]]:
        """Bring the samples of a frame to electrons on the grid, one after the other; of a movie there are none."""
        if self.samples is None or self.noisy.is_stack:
            return
        whole = self.summed**2
        units = Units.of(self.noise, np.asarray(self.noisy.frame(index).pixels))
        for sample in self.samples:
            electrons = units.to_electrons(sample, "A sample", counted=False)
            shown, inside = grid_counts(_plane(electrons), self.summed)
            yield (shown[0] / inside * whole).numpy()

    def _rate(self, index: int) -> NDArray[np.float64]:
        rate = self.rate[index] if self.noisy.is_stack else self.rate
        return np.asarray(rate, np.float64)


def _plane(image: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image, np.float64))[None]


def _check_grey(grey: bool) -> None:
    if not grey:
        raise GanDenoiseError("Columns are found in grey images, and this one has colours: convert it first.")


def _sides(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
