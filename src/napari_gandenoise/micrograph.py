"""`Micrograph`: pixels, their size and their noise, the one thing passed along the road."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import LayerData, is_layer, placement

__all__ = ["Micrograph", "NoiseModel", "nm_per_unit", "square_pixel_nm"]

FloatArray = NDArray[np.floating[Any]]

_NM_PER_UNIT = {
    "pm": 1e-3,
    "picometer": 1e-3,
    "angstrom": 0.1,
    "å": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "µm": 1e3,
    "um": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "mm": 1e6,
    "millimeter": 1e6,
    "cm": 1e7,
    "centimeter": 1e7,
    "inch": 2.54e7,
    "m": 1e9,
    "meter": 1e9,
}


class NoiseModel(Protocol):
    """How a detector turns a rate into an image: ``image = gain · Poisson(rate) + offset + read noise``."""

    @property
    def gain(self) -> float:
        """Input units per electron."""

    @property
    def offset(self) -> float:
        """Input units without any electron."""

    @property
    def read_variance(self) -> float:
        """Variance of the read noise, in electrons² per pixel."""

    def sample(self, rate: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Draw one image for a rate in electrons per pixel."""

    def log_likelihood(self, image: ArrayLike, rate: ArrayLike) -> FloatArray:
        """Log-probability of each pixel of an image, in nats."""

    def to_electrons(self, image: ArrayLike) -> FloatArray:
        """Convert an image into electrons per pixel."""

    def from_electrons(self, rate: ArrayLike) -> FloatArray:
        """Convert electrons per pixel into the image's units."""


def nm_per_unit(unit: object) -> float | None:
    """Say how many nanometres a unit of length has.

    Parameters
    ----------
    unit : object
        A name as files write it ("nm", "µm", "Å", "micron") or a pint unit.

    Returns
    -------
    float or None
        Nanometres per unit; None for pixels and anything that is not a known length.
    """
    # Files spell the micro sign and the angstrom in two Unicode ways each; ImageJ also writes an escape.
    name = str(unit).strip().replace("\\u00B5", "µ").replace("μ", "µ").replace("\u212b", "Å").lower()
    name = name.replace("metre", "meter")
    return _NM_PER_UNIT.get(name, _NM_PER_UNIT.get(name.removesuffix("s")))


def square_pixel_nm(y_nm: float | None, x_nm: float | None) -> float | None:
    """Reduce the two sides of a pixel to one size.

    Parameters
    ----------
    y_nm, x_nm : float or None
        Height and width of a pixel in nanometres.

    Returns
    -------
    float or None
        The common size, or None when either side is unknown.

    Raises
    ------
    GanDenoiseError
        If the sides differ by more than 1 %.
    """
    if y_nm is None or x_nm is None:
        return None
    y_nm, x_nm = abs(y_nm), abs(x_nm)  # a negative scale mirrors a layer, the pixels keep their size
    if not math.isclose(y_nm, x_nm, rel_tol=0.01):
        raise GanDenoiseError(
            f"The pixels are {y_nm:.4g} nm high and {x_nm:.4g} nm wide, but only square pixels can be denoised; "
            "resample the image, or give the pixel size yourself if the stored one is wrong."
        )
    return (y_nm + x_nm) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Micrograph:
    """An image or a movie with its pixel size and its noise.

    Attributes
    ----------
    pixels : numpy or dask array
        ``(Y, X)``, a movie ``(T, Y, X)``, or ``(Y, X, C)`` with 3 or 4 channels when ``rgb``; integers or floats.
    pixel_size_nm : float or None
        Side of a pixel in nanometres; None when nobody knows it.
    rgb : bool
        Whether the last axis holds colours.
    noise : NoiseModel or None
        How the detector made the pixels; None when it has yet to be calibrated.
    name : str
        What to call it, for layer names and messages.
    frame_interval_s : float or None
        Time from one frame of a movie to the next, in seconds; None when nobody knows it.
    title : str
        What its file calls it, the detector as a rule; empty where the file does not.
    notes : tuple of str
        What the user is to know of how it was read, one sentence each.
    missing : ndarray of bool or None
        Where pixels say nothing: ``(Y, X)``, or ``(T, Y, X)`` if that differs from frame to frame.

    Raises
    ------
    GanDenoiseError
        If the pixels have a shape or a type that no micrograph has, or the pixel size is not a positive number.
    """

    pixels: Any
    pixel_size_nm: float | None = None
    rgb: bool = False
    noise: NoiseModel | None = None
    name: str = ""
    frame_interval_s: float | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    missing: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not (hasattr(self.pixels, "shape") and hasattr(self.pixels, "dtype")):
            raise GanDenoiseError(f"The pixels must be an array, not {type(self.pixels).__name__}.")
        _check_shape(tuple(self.pixels.shape), self.rgb)
        if np.dtype(self.pixels.dtype).kind not in "iuf":
            raise GanDenoiseError(
                f"The image has pixels of type {self.pixels.dtype}, but only integer or floating-point "
                "intensities can be denoised; convert it first."
            )
        size = self.pixel_size_nm
        if size is not None and not (math.isfinite(size) and size > 0):
            raise GanDenoiseError(f"The pixel size must be a positive number of nanometres, not {size}.")

    @classmethod
    def of(
        cls,
        image: Any,
        *,
        pixel_size_nm: float | None = None,
        rgb: bool | None = None,
        noise: NoiseModel | None = None,
        name: str | None = None,
    ) -> Micrograph:
        """Make a micrograph of whatever holds pixels.

        Parameters
        ----------
        image : array, Micrograph, dask array or napari image layer
            A layer is recognised by its attributes; its scale and units give the pixel size.
        pixel_size_nm, rgb, noise, name
            Override what the image says about itself.

        Returns
        -------
        Micrograph
            With the image's own array, not a copy.

        Raises
        ------
        GanDenoiseError
            If the image is no image, or its pixels are not square.
        """
        fields = {"pixel_size_nm": pixel_size_nm, "rgb": rgb, "noise": noise, "name": name}
        given: dict[str, Any] = {field: value for field, value in fields.items() if value is not None}
        if isinstance(image, Micrograph):
            return replace(image, **given) if given else image
        if isinstance(image, str | PathLike):
            raise GanDenoiseError(f"{image} is a path; open it with read_micrograph first.")
        if is_layer(image):
            return cls(**(_from_layer(image, measure=pixel_size_nm is None) | given))
        if isinstance(image, np.ma.MaskedArray):
            given["missing"] = np.ma.getmaskarray(image)
            image = image.data
        pixels = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
        return cls(pixels, **given)

    @property
    def is_stack(self) -> bool:
        """Whether this is a movie ``(T, Y, X)``."""
        return not self.rgb and len(self.pixels.shape) == 3

    @property
    def frames(self) -> int:
        """Number of frames; 1 for a single image."""
        return int(self.pixels.shape[0]) if self.is_stack else 1

    def frame(self, index: int) -> Micrograph:
        """Load one frame into memory.

        Parameters
        ----------
        index : int
            Number of the frame, from 0; negative numbers count from the end.

        Returns
        -------
        Micrograph
            ``(Y, X)``, or ``(Y, X, C)`` when ``rgb``, as a numpy array in the machine's byte order.
        """
        if not -self.frames <= index < self.frames:
            raise IndexError(f"frame {index} of {self.frames}")
        pixels = np.asarray(self.pixels[index] if self.is_stack else self.pixels)
        missing = self.missing
        if missing is not None and missing.ndim > pixels.ndim - self.rgb:
            missing = missing[index]
        return replace(self, pixels=pixels.astype(pixels.dtype.newbyteorder("="), copy=False), missing=missing)

    def to_layer_data(self) -> LayerData:
        """Return data, keyword arguments and type of a napari layer, with its scale where the pixel size is known."""
        where = placement(self.pixel_size_nm, movie=self.is_stack, frame_interval_s=self.frame_interval_s)
        return self.pixels, {"name": self.name, "rgb": self.rgb, **where}, "image"


def _check_shape(shape: tuple[int, ...], rgb: bool) -> None:
    if 0 in shape:
        raise GanDenoiseError(f"The image is empty: its shape is {shape}.")
    if rgb and (len(shape) != 3 or shape[-1] not in (3, 4)):
        raise GanDenoiseError(f"A colour image must have the shape (Y, X, 3) or (Y, X, 4), not {shape}.")
    if not rgb and len(shape) not in (2, 3):
        raise GanDenoiseError(f"An image must have the shape (Y, X), or (T, Y, X) for a movie, not {shape}.")


def _from_layer(layer: Any, *, measure: bool) -> dict[str, Any]:
    """Take the fields of a micrograph from a napari layer; ``measure`` its pixels by scale and units."""
    if not hasattr(layer, "rgb"):
        raise GanDenoiseError(f"The layer {layer.name!r} is not an image layer; choose an image.")
    pixels = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    fields = {"pixels": pixels, "rgb": bool(layer.rgb), "name": str(layer.name)}
    if measure:
        fields["pixel_size_nm"] = _layer_pixel_nm(layer)
    return fields


def _layer_pixel_nm(layer: Any) -> float | None:
    units = getattr(layer, "units", None)
    if not units:
        return None
    sides = []
    for scale, unit in zip(layer.scale[-2:], units[-2:], strict=True):
        nm = nm_per_unit(unit)
        sides.append(None if nm is None else float(scale) * nm)
    return square_pixel_nm(*sides)
