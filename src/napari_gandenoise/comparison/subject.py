"""The image that methods are compared on, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.baselines import usual_bin
from napari_gandenoise.denoising import FirstFrame, as_micrograph
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import Columns
from napari_gandenoise.io import pixels_of
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.noise.splitting import split_counts
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise, Poisson

__all__ = ["Subject"]

Image = NDArray[np.float32]
LEAST_COPIES = 2


@dataclass(frozen=True)
class Subject:
    """An image to denoise, with whatever there is to judge by.

    Attributes
    ----------
    micrograph : Micrograph
        The image, its pixels in memory, its noise known.
    bin_factor : int
        What baselines sum.
    truth : ndarray or None
        The rate in input units.
    columns : Columns or None
        The atom columns of the truth, if it shows any.
    copies : ndarray or None
        ``(N, *image.shape)``: other noisy images of the same view.
    kept, held : ndarray or None
        Electrons of a split: what methods see (input units), what they are scored with (counts).
    data_range : float
        Peak of PSNR and SSIM, input units.
    notes : list of str
        How the image was read, what could not be measured and why, one sentence each.
    """

    micrograph: Micrograph
    bin_factor: int
    truth: Image | None
    columns: Columns | None
    copies: Image | None
    kept: Image | None
    held: NDArray[np.int64] | None
    data_range: float
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, image: Any, truth: Any, copies: Any, config: CompareConfig) -> Subject:
        """Take what the user gave.

        Raises
        ------
        GanDenoiseError
            If it does not go together.
        """
        own = DenoiseConfig(image=config.image, pixel_size_nm=config.pixel_size_nm, noise=config.noise)
        micrograph = as_micrograph(image, own)
        if micrograph.is_stack:
            raise GanDenoiseError("This is a movie, but methods are compared on one image: pick a frame.")
        # All methods see the same image, in which pixels from nearby stand in for those that say nothing.
        first = FirstFrame.of(micrograph, own)
        pixels, noise = first.evidence.pixels, first.noise
        micrograph = replace(first.micrograph, pixels=pixels, noise=noise)
        clean = None if truth is None else _alike(truth, pixels.shape, "truth")
        others = None if copies is None else _alike(copies, pixels.shape, "copies")
        notes = first.warnings()
        kept, held = _split(micrograph, noise, config, clean is not None, notes)
        bin_factor = config.bin_factor or min(usual_bin(micrograph.pixel_size_nm), *pixels.shape[:2])
        columns = None if clean is None or micrograph.rgb else _columns(clean, notes)
        return cls(micrograph, bin_factor, clean, columns, others, kept, held, _range(config, clean, others), notes)

    @property
    def noise(self) -> AnyNoise:
        """Noise of the image."""
        return cast("AnyNoise", self.micrograph.noise)


def _alike(image: Any, shape: tuple[int, ...], what: str) -> Image:
    """Load a truth of the image's shape, or a stack of copies."""
    pixels = pixels_of(image)
    if len(shape) == 3:
        pixels = pixels[..., :3]  # opacity is not light
    stack = pixels if what == "copies" else pixels[np.newaxis]
    if stack.shape[1:] != shape:
        theirs, ours = ("×".join(map(str, sides)) for sides in (stack.shape[1:], shape))
        raise GanDenoiseError(f"The image has {ours} pixels and the {what} {theirs}: they must be alike.")
    if what == "copies" and len(stack) < LEAST_COPIES:
        raise GanDenoiseError(f"At least {LEAST_COPIES} noisy copies of the same view are needed, not {len(stack)}.")
    if not np.isfinite(pixels).all():
        raise GanDenoiseError(f"There are NaN or infinite pixels in the {what}: replace them first.")
    return pixels.astype(np.float32)


def _columns(truth: Image, notes: list[str]) -> Columns | None:
    try:
        return Columns.of(truth)
    except GanDenoiseError as error:
        notes.append(str(error))
        return None


def _split(
    micrograph: Micrograph, noise: AnyNoise, config: CompareConfig, with_truth: bool, notes: list[str]
) -> tuple[Image | None, NDArray[np.int64] | None]:
    wanted = not with_truth if config.splitting is None else config.splitting
    if not wanted:
        return None, None
    try:
        if not isinstance(noise, Poisson):
            raise GanDenoiseError(
                "Electrons can be split only where they were counted without read noise: leave splitting out."
            )
        random = np.random.default_rng((config.seed, 1))
        kept, held = split_counts(noise.to_electrons(micrograph.pixels), config.share, random)
    except GanDenoiseError as error:
        if config.splitting:
            raise
        notes.append(str(error))
        return None, None
    return noise.from_electrons(kept).astype(np.float32), held


def _range(config: CompareConfig, truth: Image | None, copies: Image | None) -> float:
    if config.data_range is not None:
        return config.data_range
    # Without a truth the mean of the copies is the best there is; its extremes are noise.
    clean = truth if truth is not None else None if copies is None else np.percentile(copies.mean(axis=0), (0.1, 99.9))
    return 1.0 if clean is None else float(np.ptp(clean)) or 1.0
