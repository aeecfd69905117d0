"""What files of microscopes hold, arrays whose axes have names and units, and which of it are images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.micrograph import (
    LARGEST_NM,
    SMALLEST_NM,
    Micrograph,
    nm_per_unit,
    pixel_from_sides,
    seconds_per_unit,
)
from napari_gandenoise.strangers import check_declared, check_parts, check_unpacked

__all__ = ["Axis", "Signal", "micrographs_of"]

SPECTRAL_UNITS = {"ev", "kev", "mev", "1/cm", "cm-1", "amu", "m/z"}
SPECTRAL_NAMES = re.compile(r"\s*(x-ray )?(energy|wavelength|wavenumber|raman|mass)", re.IGNORECASE)
RECIPROCAL = re.compile(r"1\s*/\s*\S+|\S+\s*\^\s*-1|m?rad")
COLOURS = (("R", "G", "B"), ("R", "G", "B", "A"))
NAMED = 5  # how many of the things left out are named


@dataclass(frozen=True)
class Axis:
    """An axis: the step from one value to the next, None where it varies or nobody knows it."""

    name: str = ""
    step: float | None = None
    unit: str = ""
    navigates: bool = False

    @property
    def spectral(self) -> bool:
        """Whether it is one of energies, wavelengths or masses."""
        return self.unit.lower() in SPECTRAL_UNITS or bool(SPECTRAL_NAMES.match(self.name))

    @property
    def reciprocal(self) -> bool:
        """Whether it is one of a diffraction pattern."""
        return not self.spectral and bool(RECIPROCAL.fullmatch(self.unit))

    @property
    def nm(self) -> float | None:
        """The step in nanometres; None if it is no length."""
        unit = nm_per_unit(self.unit)
        return None if unit is None or not self.step or self.spectral else abs(self.step) * unit

    @property
    def seconds(self) -> float | None:
        """The step in seconds; None if it is no time."""
        found = (seconds_per_unit(self.unit.lower()) or 0.0) * (self.step or 0.0)
        return found if math.isfinite(found) and found > 0 else None


@dataclass(frozen=True)
class Signal:
    """An array of a file, in memory or not, with an axis for each of its dimensions.

    Attributes
    ----------
    pixels : numpy or dask array
    axes : tuple of Axis
    title : str
        What the file calls it, the detector as a rule.
    diffraction : bool
        Whether its images are diffraction patterns, as far as rosettasciio guesses.
    """

    pixels: Any
    axes: tuple[Axis, ...]
    title: str = ""
    diffraction: bool = False

    @property
    def size(self) -> str:
        """Its size in words: ``16×16×2048``."""
        return "×".join(str(int(side)) for side in self.pixels.shape)

    @property
    def colour(self) -> bool:
        """Whether its values are colours."""
        return self.pixels.dtype.names in COLOURS

    def squeezed(self) -> Signal:
        """Drop axes of one value."""
        kept = [i for i, side in enumerate(self.pixels.shape) if side != 1]
        if len(kept) == len(self.axes) or len(kept) < 2:
            return self
        pixels = self.pixels[tuple(slice(None) if i in kept else 0 for i in range(len(self.axes)))]
        return Signal(pixels, tuple(self.axes[i] for i in kept), self.title, self.diffraction)

    def movie_first(self) -> Signal:
        """Move the axis of a stack, the one along which it is navigated, in front of those of its images."""
        along = [i for i, axis in enumerate(self.axes) if axis.navigates]
        if len(self.axes) != 3 or along in ([0], []) or len(along) > 1:
            return self
        order = (along[0], *(i for i in range(3) if i != along[0]))
        return Signal(self.pixels.transpose(order), tuple(self.axes[i] for i in order), self.title, self.diffraction)


def no_image(signal: Signal) -> str:
    """Say what a signal is that is no image and no movie; nothing if it is one."""
    kind, axes = signal.pixels.dtype.kind, signal.axes
    spectral = next((axis for axis in axes if axis.spectral), None)
    signals = sum(not axis.navigates for axis in axes)
    if kind == "c":
        return f"complex numbers ({signal.size}), such as a Fourier transform"
    if kind not in "iuf" and not signal.colour:
        return f"values of the type {in_short(signal.pixels.dtype)} ({signal.size})"
    if len(axes) < 2:
        what = "a spectrum" if spectral else "a profile" if axes else "a single value"
        return f"{what} ({signal.size}{_unit(spectral)})" if axes else what
    if spectral:
        return f"{'a line of spectra' if len(axes) == 2 else 'a spectrum image'} ({signal.size}{_unit(spectral)})"
    if signals == 1 and not signal.colour:
        return f"a spectrum or a profile of each point ({signal.size})"
    if len(axes) > 3:
        patterns = len(axes) == 4 and (signal.diffraction or axes[-1].reciprocal)
        return f"{'4D-STEM data' if patterns else f'data with {len(axes)} axes'} ({signal.size})"
    return f"a stack of colour images ({signal.size})" if signal.colour and len(axes) > 2 else ""


def _unit(axis: Axis | None) -> str:
    return f" {axis.unit}" if axis is not None and axis.unit else ""


def micrographs_of(
    path: Path, signals: Sequence[Signal], *, lazy: bool, stored: Path | None = None, notes: tuple[str, ...] = ()
) -> list[Micrograph]:
    """Make micrographs of those signals of a file that are images or movies.

    Parameters
    ----------
    path : Path
        The file.
    signals : sequence of Signal
        At least one.
    lazy : bool
        Leave the frames of movies where they are.
    stored : Path, optional
        The file that holds the pixels, if it is another one.
    notes : tuple of str
        What else is to be known of it.

    Raises
    ------
    GanDenoiseError
        If there is no image among them, or one says that it is far larger than the file.
    """
    squeezed = [signal.squeezed() for signal in signals]
    others = [f"{_called(signal)}{what}" for signal in squeezed if (what := no_image(signal))]
    images = [signal.movie_first() for signal in squeezed if not no_image(signal)]
    if not images:
        raise GanDenoiseError(
            f"{path} holds {_listed(others)}, but only images and movies can be opened; save an image of it."
        )
    if others:
        notes = (*notes, f"{path.name} also holds {_listed(others)}: left out.")
    titles = _titles(images)
    names = [f"{path.stem} {title}" for title in titles] if len(images) > 1 else [path.stem]
    found = [_micrograph(stored or path, signal, name, lazy) for signal, name in zip(images, names, strict=True)]
    return [replace(one, title=title, notes=(*notes, *one.notes)) for one, title in zip(found, titles, strict=True)]


def _micrograph(path: Path, signal: Signal, name: str, lazy: bool) -> Micrograph:
    pixels, movie = signal.pixels, len(signal.axes) == 3
    whole = math.prod(map(int, pixels.shape)) * pixels.dtype.itemsize
    check_declared(path, whole)
    if movie:
        check_parts(path, int(pixels.shape[0]))
    if isinstance(pixels, np.ndarray) and not isinstance(pixels, np.memmap):
        pixels = np.asarray(pixels)
    elif movie and lazy:
        np.asarray(pixels[:1, :1, :1])  # a file that is shorter than it says is found out now
    else:
        check_unpacked(path, whole)
        pixels = np.asarray(pixels)
    pixel, notes = _pixel(signal, name)
    if signal.colour:
        pixels = structured_to_unstructured(pixels)
    interval = signal.axes[0].seconds if movie else None
    return Micrograph(pixels, rgb=signal.colour, name=name, frame_interval_s=interval, notes=notes, **pixel)


def _pixel(signal: Signal, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return size and aspect of a pixel, as far as they are known, and what is to be said of it."""
    y, x = signal.axes[-2:]
    if y.reciprocal or x.reciprocal:
        return {}, (f"{name} is a diffraction pattern: it has no pixel size.",)
    sides = [axis.nm for axis in (y, x)]
    odd = next((side for side in sides if side is not None and not SMALLEST_NM <= side <= LARGEST_NM), None)
    if odd is not None:
        said = f"The file says that a pixel of {name} has {odd:.3g} nm, which no microscope has"
        return {}, (f"{said}: the pixel size is left out.",)
    return pixel_from_sides(sides[0], sides[1]), ()


def _titles(images: Sequence[Signal]) -> list[str]:
    """Return what to call the images of a file, each differently."""
    titles = [signal.title for signal in images]
    if len(images) > 1:
        same = len(set(titles)) == 1  # the name of the specimen, not of a detector
        titles = [f"image {i}" if same or not title else title for i, title in enumerate(titles, start=1)]
    times = [titles[:i].count(title) for i, title in enumerate(titles)]
    return [title if not before else f"{title} ({before + 1})" for title, before in zip(titles, times, strict=True)]


def _called(signal: Signal) -> str:
    return f"{signal.title}, " if signal.title else ""


def _listed(things: Sequence[str]) -> str:
    more = f"; and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return "; ".join(things[:NAMED]) + more
