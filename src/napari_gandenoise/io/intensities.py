"""What stored values mean: white that is zero, palettes, transparency, colours that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["FALSE_COLOURS", "SAME", "Convert", "as_intensities", "stored_as"]

Convert = Callable[[NDArray[Any]], NDArray[Any]]

REFUSED = {
    PHOTOMETRIC.SEPARATED: "the inks of a printer (CMYK)",
    PHOTOMETRIC.YCBCR: "brightness and colour difference (YCbCr)",
    PHOTOMETRIC.CIELAB: "CIE L*a*b* colours",
    PHOTOMETRIC.ICCLAB: "ICC L*a*b* colours",
    PHOTOMETRIC.ITULAB: "ITU L*a*b* colours",
    PHOTOMETRIC.LOGL: "logarithms of luminance",
    PHOTOMETRIC.LOGLUV: "logarithms of luminance and colour",
}
GREY_RAMP = 0.75  # of a palette's entries that must be their index in grey, of 16 bits by either step
STEPS = (256, 257)
JPEG = (6, 7)  # kinds of compression, of which the decoder returns RGB
INVERTED = "White is stored as zero in this file: its values were inverted."
NOT_INVERTED = "White is stored as zero in this file, but its values are no integers: they are taken as they are."
SAME = "Red, green and blue are the same in this file: it is taken as grey."
FALSE_COLOURS = "The file has a palette of colours, which was applied."


def stored_as(path: Path, page: tifffile.TiffPage) -> tuple[Convert | None, str]:
    """Say what to do with the stored values of a TIFF page so that more is brighter.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : tifffile.TiffPage
        The first page of the image.

    Returns
    -------
    convert : callable or None
        To be applied to arrays ``(..., Y, X)``; with a palette of colours it appends an axis of three.
    note : str
        What the user is to know of it, if anything.

    Raises
    ------
    GanDenoiseError
        If they are neither brightness nor red, green and blue.
    """
    kind = page.photometric
    refused = next((what for refused, what in REFUSED.items() if refused == kind), None)
    if refused is not None and not (kind == PHOTOMETRIC.YCBCR and page.compression in JPEG):
        raise GanDenoiseError(f"{path} holds {refused}: save it as grey or RGB first.")
    if kind == PHOTOMETRIC.MINISWHITE and "PhotometricInterpretation" in page.tags:
        kinds = np.dtype(page.dtype).kind
        return (None, NOT_INVERTED) if kinds == "f" else (_inverted(page.bitspersample, kinds), INVERTED)
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None:
        return _palette(np.asarray(page.colormap))
    return None, ""


def _inverted(bits: int, kind: str) -> Convert:
    def convert(pixels: NDArray[Any]) -> NDArray[Any]:
        return ~pixels if kind != "u" else pixels.dtype.type(2**bits - 1) - pixels

    return convert


def _palette(colormap: NDArray[Any]) -> tuple[Convert | None, str]:
    """Leave indices as they are where the palette is but their grey; ``colormap`` is ``(3, N)``, of 16 bits."""
    red, green, blue = colormap
    grey, index = (red == green) & (red == blue), np.arange(len(red))
    # Microscopes keep a few indices of a grey ramp for the colours of what they draw over the image.
    if any((grey & (red == step * index)).mean() >= GREY_RAMP for step in STEPS):
        return None, ""
    if grey.all():
        return (lambda pixels: red[pixels]), ""
    colours = np.ascontiguousarray(colormap.T >> 8).astype(np.uint8)
    return (lambda pixels: colours[pixels]), FALSE_COLOURS


def as_intensities(pixels: NDArray[Any], *, colours: bool) -> tuple[NDArray[Any], bool, tuple[str, ...]]:
    """Take an image in memory for grey where it is, whatever its file says.

    Parameters
    ----------
    pixels : ndarray
        ``(Y, X)``, ``(T, Y, X)``, or with ``colours`` ``(Y, X, C)``: one or two channels are grey and transparency.
    colours : bool
        Whether the last axis is channels.

    Returns
    -------
    pixels : ndarray
        Without transparency where it is grey; true and false as 1 and 0.
    rgb : bool
        Whether they are still colours.
    notes : tuple of str
        What the user is to know of it.
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if not colours:
        return pixels, False, ()
    if pixels.shape[-1] < 3:
        return pixels[..., 0], False, ()
    red = pixels[..., 0]
    if np.array_equal(red, pixels[..., 1]) and np.array_equal(red, pixels[..., 2]):
        return (
            np.ascontiguousarray(red),
            False,
            (SAME,),
        )
    return pixels, True, ()
