"""MRC files, as memory maps: https://www.ccpem.ac.uk/mrc-format/mrc2014/.

Of all that is written to the header, what says how large a pixel is, is the least reliable.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_gandenoise.io.signals import Axis, Signal
from napari_gandenoise.micrograph import LARGEST_NM, SMALLEST_NM

__all__ = ["read_mrc"]

HEADER = 1024
FIELDS = {
    "size": (0, "i4", (3,)), "mode": (12, "i4", ()), "sampling": (28, "i4", (3,)), "cell": (40, "f4", (3,)),
    "extended": (92, "i4", ()), "kind": (104, "S4", ()), "version": (108, "i4", ()), "imod": (152, "i4", (2,)),
}  # fmt: skip
MODES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
IMOD, SIGNED = 1146047817, 1  # IMOD's stamp, and the bit of its flags that says that bytes are signed
STANDARD = 20140  # since this version bytes are signed
NM_PER_ANGSTROM, NM_PER_M = 0.1, 1e9
# Where the extended headers of FEI say how large a pixel is, in metres: without a kind, and of the kinds FEI1 and FEI2.
OLD_FEI, OLD_FEI_BYTES, NEW_FEI = 44, 1024 * 128, 156


def read_mrc(path: Path) -> tuple[Signal, tuple[str, ...]]:
    """Read an image or a stack, ``(Y, X)`` or ``(Z, Y, X)``, and what is to be said of it.

    Raises
    ------
    ValueError
        If it is no MRC file.
    """
    header, order = _header(path)
    kind = np.dtype(f"{order}{_kind(header)}")
    columns, rows, sections = map(int, header["size"])
    start = HEADER + int(header["extended"])
    stored = (path.stat().st_size - start) // (columns * rows * kind.itemsize)
    if stored < 1:
        raise ValueError("its first image is not whole")
    notes = () if stored >= sections else (f"{path.name} is cut off: {stored} of {sections} images are whole.",)
    shape = (min(stored, sections), rows, columns)
    pixels = np.memmap(path, kind, "r", start, shape)
    sides = _sides(header) or _extended_sides(path, header, order)
    axes = (Axis("z", navigates=True), *(Axis(name, side, "nm") for name, side in zip("yx", sides, strict=True)))
    return Signal(pixels, axes), notes


def _header(path: Path) -> tuple[Any, str]:
    """Read the header in the byte order in which it makes sense, and in which the file is large enough."""
    names, places = list(FIELDS), [place for place, _, _ in FIELDS.values()]
    found = []
    for order in "<>":
        kinds = [(f"{order}{kind}" if kind[0] != "S" else kind, shape) for _, kind, shape in FIELDS.values()]
        layout = np.dtype({"names": names, "formats": kinds, "offsets": places, "itemsize": HEADER})
        header = np.fromfile(path, layout, 1)[0]
        if (header["size"] > 0).all() and int(header["mode"]) in MODES and header["extended"] >= 0:
            found.append((header, order))
    if not found:
        raise ValueError("it has no header of an MRC file whose kind of pixels is known")
    return next((one for one in found if _size(one[0]) <= path.stat().st_size), found[0])


def _size(header: Any) -> int:
    columns, rows, sections = map(int, header["size"])
    return HEADER + int(header["extended"]) + columns * rows * sections * np.dtype(MODES[int(header["mode"])]).itemsize


def _kind(header: Any) -> str:
    stamp, flags = map(int, header["imod"])
    signed = flags & SIGNED if stamp == IMOD else header["version"] >= STANDARD
    return "i1" if header["mode"] == 0 and signed else MODES[int(header["mode"])]


def _sides(header: Any) -> list[float] | None:
    """Return height and width of a pixel, nm; None if zeros or negative numbers say that nobody knows."""
    cell, sampling = header["cell"][1::-1].astype(float), header["sampling"][1::-1]
    if not ((sampling > 0) & np.isfinite(cell) & (cell > 0)).all():
        return None
    return [NM_PER_ANGSTROM * float(side) for side in cell / sampling]


def _extended_sides(path: Path, header: Any, order: str) -> list[float | None]:
    """Return what an extended header of FEI says of the size of a pixel, nm; any other is text or not known."""
    size, kind = int(header["extended"]), bytes(header["kind"]).strip(b"\0 ")
    with path.open("rb") as file:
        if kind in (b"FEI1", b"FEI2") and size >= NEW_FEI + 16:
            file.seek(HEADER + NEW_FEI)
            x, y = struct.unpack("<2d", file.read(16))
        elif not kind and size == OLD_FEI_BYTES:
            file.seek(HEADER + OLD_FEI)
            y = x = struct.unpack(f"{order}f", file.read(4))[0]
        else:
            return [None, None]
    return [NM_PER_M * side if SMALLEST_NM <= NM_PER_M * side <= LARGEST_NM else None for side in (y, x)]
