"""Files of microscopes, read by rosettasciio where the package does not itself.

rosettasciio: https://hyperspy.org/rosettasciio.  It is an optional extra, for its licence is the GPL, and imported
when a file needs it.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.io.declared import check_bzip2, check_dm, check_hdf5, check_ser, check_zip, left_out_of_velox
from napari_gandenoise.io.formats import Format, formats_of
from napari_gandenoise.io.mrc import read_mrc
from napari_gandenoise.io.signals import Axis, Signal, micrographs_of
from napari_gandenoise.io.zspy import read_zspy
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.strangers import blaming, check_regular, check_unpacked

__all__ = ["read_microscope_file"]

NOT_LAZILY = ("Lazy loading", "chunks=")  # of what rosettasciio says when it cannot leave pixels where they are
CHECKS: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(("emd", "hspy", "delmic", "topspin"), check_hdf5),
    "digitalmicrograph": check_dm,
    "pantarhei": check_zip,
    "phenom": check_bzip2,
}
DIFFRACTION = ("diffraction", "electron_diffraction")


def read_microscope_file(path: Path, *, lazy: bool = False) -> list[Micrograph]:
    """Read the images and series of a file; see `napari_gandenoise.io.read_images`."""
    with blaming(path, "image of a microscope"):
        reasons = []
        for kind in formats_of(path.suffix.lower()):
            try:
                signals, stored, notes = _signals(path, kind)
            except GanDenoiseError:
                raise
            except Exception as error:  # it may be of the next format of this ending
                reasons.append(error)
            else:
                return micrographs_of(path, signals, lazy=lazy, stored=stored, notes=notes)
        raise reasons[0]


def _signals(path: Path, kind: Format) -> tuple[list[Signal], Path, tuple[str, ...]]:
    """Return what a file holds, the file where the pixels are, and what is to be said of it."""
    match kind.reader:
        case "mrc":
            signal, notes = read_mrc(path)
            return [signal], path, notes
        case "zspy":
            return read_zspy(path), path, ()
    _check_installed(path)
    stored = _checked(path, kind.reader)
    found = _read(path, kind)
    if not found:
        raise ValueError("nothing is in it")
    signals = [_signal(one) for one in found]
    if kind.reader == "tia":  # each frame of which would read the whole file again
        signals = [_in_memory(stored, signal) for signal in signals]
    if kind.reader == "emd":
        return [_rows_first(signal) for signal in signals], stored, left_out_of_velox(path)
    return signals, stored, ()


def _check_installed(path: Path) -> None:
    try:
        import h5py  # noqa: F401
        import rsciio  # noqa: F401
    except ImportError as error:
        raise GanDenoiseError(
            f"To open {path}, install rosettasciio: pip install 'napari-gandenoise[formats]'."
        ) from error


def _checked(path: Path, reader: str) -> Path:
    """Check what a file declares before it is read, and return the file that holds its pixels."""
    if reader in CHECKS:
        CHECKS[reader](path)
    match reader:
        case "quantumdetector":
            _beside(path, r"\.hdr")
        case "tvips":
            return _largest([path, *_beside(path, r"\d{3}\.tvips", path.stem[:-3])])
        case "ripple":
            return _largest(_beside(path, r"\.raw"))
        case "empad":
            return _largest(_beside(path, "", _raw_of_empad(path)))
        case "tia":
            series = [path] if path.suffix.lower() == ".ser" else _beside(path, r"_[0-9]\.ser")
            for each in series:
                check_ser(each)
            return _largest(series)
    return path


def _beside(path: Path, ending: str, stem: str | None = None) -> list[Path]:
    """List what is read with a file, those of the same stem with an ending; none may be a pipe or a device."""
    wanted = re.compile(re.escape(path.stem if stem is None else stem) + ending, re.IGNORECASE)
    found = sorted(each for each in path.parent.iterdir() if wanted.fullmatch(each.name))
    for each in found:
        check_regular(each)
    return found


def _largest(paths: list[Path]) -> Path:
    if not paths:
        raise ValueError("the file with its pixels is not beside it")
    return max(paths, key=lambda each: each.stat().st_size)


def _raw_of_empad(path: Path) -> str:
    """Return the name of the file with the pixels, which has to be beside the one that names it."""
    named = ElementTree.parse(path).getroot().find(".//raw_file")
    name = "" if named is None else named.get("filename", "")
    if not name or Path(name).name != name:
        raise ValueError("it names no file with pixels beside it")
    return name


def _read(path: Path, kind: Format) -> list[Mapping[str, Any]]:
    """Read with rosettasciio, lazily where it can, without its warnings of what it makes of metadata."""
    read = import_module(f"rsciio.{kind.reader}").file_reader
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            found: list[Mapping[str, Any]] = read(str(path), **{"lazy": True, **kind.options})
        except (NotImplementedError, ValueError) as error:
            if not any(words in str(error) for words in NOT_LAZILY):
                raise
            found = read(str(path), **{**kind.options, "lazy": False})
    return [one for one in found if "data" in one]


@contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("rsciio")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def _signal(found: Mapping[str, Any]) -> Signal:
    data, metadata = found["data"], found.get("metadata", {})
    axes = [_axis(axis) for axis in found.get("axes", ())]
    if len(axes) != data.ndim:
        axes = [Axis()] * data.ndim
    kind = str(metadata.get("Signal", {}).get("signal_type", ""))
    title = str(metadata.get("General", {}).get("title") or "").replace("__unnamed__", "")
    return Signal(data, tuple(axes), in_short(title), kind in DIFFRACTION)


def _axis(about: Mapping[str, Any]) -> Axis:
    step = about.get("scale")
    unit = str(about.get("units") or "").strip("[]").replace("_", "")  # NCEM writes [n_m]
    name = str(about.get("name") or "")
    return Axis(name, None if step is None else float(step), unit, bool(about.get("navigate")))


def _rows_first(signal: Signal) -> Signal:
    """Turn round an array of NCEM's EMD that rosettasciio has turned round: the names of its axes say so."""
    names = [axis.name.lower() for axis in signal.axes]
    if ["x", "y"] not in (names[:2], names[-2:]):
        return signal
    return replace(signal, pixels=signal.pixels.transpose(), axes=signal.axes[::-1])


def _in_memory(path: Path, signal: Signal) -> Signal:
    check_unpacked(path, signal.pixels.nbytes)
    return replace(signal, pixels=np.asarray(signal.pixels))
