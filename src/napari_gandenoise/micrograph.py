"""`Micrograph`: pixels, their size and their noise, the one thing passed along the road."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.layers import LayerData, is_layer, pixel_sides, placement

__all__ = [
    "LARGEST_NM",
    "SMALLEST_NM",
    "Micrograph",
    "NoiseModel",
    "as_array",
    "kept_axes",
    "nm_per_unit",
    "pixel_from_sides",
    "seconds_per_unit",
    "has_colours",
]

FloatArray = NDArray[np.floating[Any]]

NM_PER_ANGSTROM = 0.1
_NM_PER_UNIT = {
    "pm": 1e-3,
    "picometer": 1e-3,
    "angstrom": NM_PER_ANGSTROM,
    "ångström": NM_PER_ANGSTROM,
    "å": NM_PER_ANGSTROM,
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


_SECONDS_PER_UNIT = {
    "h": 3600.0,
    "hour": 3600.0,
    "min": 60.0,
    "minute": 60.0,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "µs": 1e-6,
    "microsecond": 1e-6,
    "ns": 1e-9,
    "nanosecond": 1e-9,
}
# No microscope has smaller or larger pixels: the unit of such a number is another, or nobody wrote it down.
SMALLEST_NM, LARGEST_NM = 1e-4, 1e6
CHANNELS = (3, 4)  # of colours, without and with opacity
NARROWEST = 16  # pixels of an image: what is less on a side of three axes is frames or channels
SQUARE = 0.01  # sides that differ by less are the same
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")  # as ImageJ writes what is not ASCII


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
    # Files spell the micro sign and the angstrom in two Unicode ways each.
    name = ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), str(unit).strip())
    if name == "A":  # what else an A may be is no length
        return NM_PER_ANGSTROM
    name = name.replace("μ", "µ").replace("\u212b", "Å").lower().replace("metre", "meter")
    return _NM_PER_UNIT.get(name, _NM_PER_UNIT.get(name.removesuffix("s")))


def seconds_per_unit(unit: object) -> float | None:
    """Say how many seconds a unit of time has; None for anything that is not a known one."""
    return _SECONDS_PER_UNIT.get(str(unit).strip().replace("μ", "µ"))


def pixel_from_sides(y_nm: float | None, x_nm: float | None) -> dict[str, Any]:
    """Turn the two sides of a pixel into the fields of a `Micrograph`.

    Parameters
    ----------
    y_nm, x_nm : float or None
        Height and width of a pixel in nanometres.

    Returns
    -------
    dict
        "pixel_size_nm", the geometric mean of the sides, and "aspect"; None and 1 when either side is unknown, or
        is one that no microscope has.
    """
    if y_nm is None or x_nm is None:
        return {"pixel_size_nm": None, "aspect": 1.0}
    y_nm, x_nm = abs(y_nm), abs(x_nm)  # a negative scale mirrors a layer, the pixels keep their size
    if not (SMALLEST_NM <= y_nm <= LARGEST_NM and SMALLEST_NM <= x_nm <= LARGEST_NM):
        return {"pixel_size_nm": None, "aspect": 1.0}
    if math.isclose(y_nm, x_nm, rel_tol=SQUARE):
        return {"pixel_size_nm": (y_nm + x_nm) / 2, "aspect": 1.0}
    return {"pixel_size_nm": math.sqrt(y_nm * x_nm), "aspect": y_nm / x_nm}


def as_array(image: Any) -> Any:
    """Return what holds pixels as an array of NumPy or dask, and a tensor of PyTorch as one of NumPy.

    Raises
    ------
    GanDenoiseError
        If it holds none, such as rows of different length.
    """
    if hasattr(image, "detach") and hasattr(image, "cpu"):
        tensor = image.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # a type that NumPy does not have, such as bfloat16
            return tensor.float().numpy()
    if hasattr(image, "shape") and hasattr(image, "dtype"):
        return image
    try:
        return np.asarray(image)
    except (TypeError, ValueError) as error:
        raise GanDenoiseError(f"This is no image, whose rows are numbers and equally long: {in_short(error)}") from None


def kept_axes(shape: Sequence[int], *, rgb: bool = False) -> list[int]:
    """Say which axes make the image or the movie, of an array that has more of them, of length 1.

    Parameters
    ----------
    shape : sequence of int
        ``(T, 1, Y, X)``, ``(Y, X, 1)``, ``(1, Y, X, C)`` and the like.
    rgb : bool
        Whether the last axis is colours.

    Returns
    -------
    list of int
        All axes where none can be left out.
    """
    axes = list(range(len(shape)))
    if not rgb and len(axes) > 2 and shape[-1] == 1:
        axes.pop()
    image = axes[-3:] if rgb else axes[-2:]
    return axes if len(axes) <= 3 else [axis for axis in axes if shape[axis] != 1 or axis in image]


def has_colours(shape: Sequence[int]) -> bool:
    """Say whether an array's last axis is colours: three or four long, and the two before as sides of an image are."""
    return len(shape) > 2 and shape[-1] in CHANNELS and min(shape[-3:-1]) >= NARROWEST


@dataclass(frozen=True, slots=True, eq=False)
class Micrograph:
    """An image or a movie with its pixel size and its noise.

    Attributes
    ----------
    pixels : numpy or dask array
        ``(Y, X)``, a movie ``(T, Y, X)``, or ``(Y, X, C)`` with 3 or 4 channels when ``rgb``; integers or floats.
    pixel_size_nm : float or None
        Side of a pixel in nanometres, the geometric mean of both if they differ; None when nobody knows it.
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
    aspect : float
        Height of a pixel over its width.
    report : mapping or None
        How it was made, if this package made it.

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
    aspect: float = 1.0
    report: Mapping[str, Any] | None = None

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
            A layer is recognised by its attributes; its scale and units give the pixel size.  Axes of length 1 beyond
            those of a movie are left out; true and false become 1 and 0.  Of an array, a last axis of three or four is
            colours, unless ``rgb`` says otherwise.
        pixel_size_nm, rgb, noise, name
            Override what the image says about itself; another pixel size than its own is that of square pixels.

        Returns
        -------
        Micrograph
            With the image's own array, not a copy.

        Raises
        ------
        GanDenoiseError
            If the image is no image.
        """
        fields = {"pixel_size_nm": pixel_size_nm, "rgb": rgb, "noise": noise, "name": name}
        given: dict[str, Any] = {field: value for field, value in fields.items() if value is not None}
        if isinstance(image, Micrograph):
            return image._with(given)
        if isinstance(image, str | PathLike):
            raise GanDenoiseError(f"{image} is a path; open it with read_micrograph first.")
        if is_layer(image):
            return cls(**_from_layer(image))._with(given)
        if isinstance(image, np.ma.MaskedArray):
            given["missing"] = np.ma.getmaskarray(image)
            image = image.data
        pixels = as_array(image)
        given.setdefault("rgb", has_colours(pixels.shape))
        return cls(_plain(pixels, rgb=given["rgb"]), **given)

    def _with(self, given: dict[str, Any]) -> Micrograph:
        if not given:
            return self
        size = given.get("pixel_size_nm")
        if size is not None and (self.pixel_size_nm is None or not math.isclose(size, self.pixel_size_nm)):
            given = {**given, "aspect": 1.0}
        return replace(self, **given)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user is to know of the image: the notes, and whether its pixels are not square."""
        if self.pixel_size_nm is None or self.aspect == 1:
            return self.notes
        y_nm, x_nm = pixel_sides(self.pixel_size_nm, self.aspect)
        oblong = (
            f"The pixels are {y_nm:.4g} nm high and {x_nm:.4g} nm wide and are taken as squares of "
            f"{self.pixel_size_nm:.4g} nm: if that is wrong, give the pixel size, or resample the image."
        )
        return (*self.notes, oblong)

    @property
    def extent(self) -> int:
        """Number of pixels of all frames, whatever the channels."""
        return math.prod(self.pixels.shape[:2] if self.rgb else self.pixels.shape)

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
        where = placement(self.pixel_size_nm, self.aspect, movie=self.is_stack, frame_interval_s=self.frame_interval_s)
        made = {} if self.report is None else {"metadata": {"napari-gandenoise": dict(self.report)}}
        return self.pixels, {"name": self.name, "rgb": self.rgb, **where, **made}, "image"


def _check_shape(shape: tuple[int, ...], rgb: bool) -> None:
    if 0 in shape:
        raise GanDenoiseError(f"The image is empty: its shape is {shape}.")
    if rgb and (len(shape) != 3 or shape[-1] not in CHANNELS):
        raise GanDenoiseError(f"A colour image must have the shape (Y, X, 3) or (Y, X, 4), not {shape}.")
    if not rgb and len(shape) not in (2, 3):
        raise GanDenoiseError(f"An image must have the shape (Y, X), or (T, Y, X) for a movie, not {shape}.")


def _plain(pixels: Any, *, rgb: bool) -> Any:
    """Leave out axes of length 1 that no image has, and count true as 1."""
    kept = kept_axes(pixels.shape, rgb=rgb)
    if len(kept) < len(pixels.shape):
        pixels = pixels[tuple(slice(None) if axis in kept else 0 for axis in range(len(pixels.shape)))]
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def _from_layer(layer: Any) -> dict[str, Any]:
    """Take the fields of a micrograph from a napari layer."""
    if not hasattr(layer, "rgb"):
        raise GanDenoiseError(f"The layer {layer.name!r} is not an image layer; choose an image.")
    pixels, rgb = layer.data[0] if getattr(layer, "multiscale", False) else layer.data, bool(layer.rgb)
    kept = kept_axes(pixels.shape, rgb=rgb)
    plain = _plain(pixels, rgb=rgb)
    fields = {"pixels": plain, "rgb": rgb, "name": str(layer.name)}
    units = getattr(layer, "units", None)
    if not units:
        return fields
    sides = []
    for axis in [axis for axis in kept if axis < len(units)][-2:]:
        nm = nm_per_unit(units[axis])
        sides.append(None if nm is None else float(layer.scale[axis]) * nm)
    seconds = seconds_per_unit(units[kept[0]]) if len(plain.shape) == 3 and not rgb else None
    interval = None if seconds is None else abs(float(layer.scale[kept[0]])) * seconds
    return fields | {"frame_interval_s": interval} | pixel_from_sides(*sides)
