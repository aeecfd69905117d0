"""What files of microscopes declare, held against what they store before a library takes memory for it."""

from __future__ import annotations

import bz2
import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.strangers import check_declared, check_parts, check_unpacked

__all__ = ["check_bzip2", "check_dm", "check_hdf5", "check_ser", "check_zip", "left_out_of_velox"]

HEAP = b"GCOL\1\0\0\0"  # how a heap of text begins in HDF5
SEARCHED = 2**26  # bytes of a file that are searched: to search gigabytes takes long, and what is no pixel comes early
REFERENCE = struct.Struct("<I12x")  # to a text in a heap: its length, and where it is
BLOCK = 2**20

# A tag of DigitalMicrograph: how many numbers say what it holds, and the first four of these.
TAG = b"%%%%"
TAG_NUMBERS = {3: struct.Struct(">5i"), 4: struct.Struct(">5q")}
STRUCT, TEXT, ARRAY = 15, 18, 20
MOST_FIELDS, LONGEST_TEXT = 10_000, 1_000_000
SPECTRA = {"SpectrumStream": "streams of spectra", "SpectrumImage": "spectrum images", "Spectrum": "spectra"}

# A SER file: its version, of what kind its elements are, how many it holds and where it says where they are.
SER_HEAD = struct.Struct("<4x h i 8x i")
SER_OLD = 0x210  # up to this version places in the file have 4 bytes, later 8
SER_IMAGES = 0x4122
SER_ELEMENT = {True: struct.Struct("<40x h ii"), False: struct.Struct("<20x h i")}  # kind of number, sides
SER_BYTES = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 16}


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that leads elsewhere, that the library walks for ever, or that stores far less than it says.

    Raises
    ------
    GanDenoiseError
        If it is spread over several files, or declares too much.
    ValueError
        If one of its heaps has no end.
    """
    import h5py

    _check_heaps(path)
    with h5py.File(path, "r") as file:
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise _spread(path)
                if isinstance(link, h5py.SoftLink):
                    continue  # to what is in the file under another name, or to nothing
                node = group[name]
                place = h5py.h5o.get_info(node.id).addr
                if isinstance(node, h5py.Dataset):
                    _check_dataset(path, node)
                elif isinstance(node, h5py.Group) and place not in seen:
                    groups.append(node)
                seen.add(place)


def _spread(path: Path) -> GanDenoiseError:
    return GanDenoiseError(f"{path} is one part of an image spread over several files; join them first.")


def _check_dataset(path: Path, data: Any) -> None:
    if data.is_virtual or data.external:
        raise _spread(path)
    if data.shape is None:
        return
    place = data.id.get_offset()
    if data.dtype.kind == "O" and place is not None:  # texts of any length: the library makes room for what is declared
        with path.open("rb") as file:
            file.seek(place)
            for (length,) in REFERENCE.iter_unpack(file.read(data.id.get_storage_size())):
                check_declared(path, length)
    check_declared(path, math.prod(map(int, data.shape)) * data.dtype.itemsize)
    if data.chunks:
        check_parts(path, math.prod(-(-side // chunk) for side, chunk in zip(data.shape, data.chunks, strict=True)))
        check_unpacked(path, math.prod(data.chunks) * data.dtype.itemsize)


def _check_heaps(path: Path) -> None:
    """Refuse an HDF5 file one of whose heaps of text has no end: the library walks it for ever."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP, 0, SEARCHED)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            place, end = start + 16, min(start + size, len(content))
            while place + 16 <= end:
                number, length = struct.unpack_from("<H6xQ", content, place)
                if length > size or (number == 0 and length == 0):
                    raise ValueError("a heap of text in it has no end")
                place += length if number == 0 else 16 + -(-length // 8) * 8
            start = content.find(HEAP, start + 8, SEARCHED)


def left_out_of_velox(path: Path) -> tuple[str, ...]:
    """Say which data of a Velox file are not even looked at."""
    import h5py

    with h5py.File(path, "r") as file:
        data = file.get("Data", {})
        found = [what for group, what in SPECTRA.items() if group in data and len(data[group])]
    return (f"{path.name} also holds {' and '.join(found)}: left out.",) if found else ()


def check_dm(path: Path) -> None:
    """Refuse a file of DigitalMicrograph with a tag that a library reads for ever: of things that have no length.

    Raises
    ------
    ValueError
        If there is one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        numbers = TAG_NUMBERS[int.from_bytes(content[:4], "big")]
        size = len(content)
        # Between the tags before and those after them there is nothing but pixels.
        for start, end in ((0, SEARCHED), (max(SEARCHED, size - SEARCHED), size)):
            place = content.find(TAG, start, end)
            while 0 <= place <= size - len(TAG) - numbers.size:
                if _endless(*numbers.unpack_from(content, place + len(TAG))[1:]):
                    raise ValueError("one of its tags has no end")
                place = content.find(TAG, place + 1, end)


def _endless(kind: int, first: int, second: int, third: int) -> bool:
    """Whether a tag is a text or a record of no sensible length, or many of them."""
    if kind == TEXT:
        return not 0 <= first <= LONGEST_TEXT
    if kind == STRUCT:
        return not 0 < second <= MOST_FIELDS
    if (kind, first) == (ARRAY, TEXT):
        return not 0 < second <= LONGEST_TEXT
    return (kind, first) == (ARRAY, STRUCT) and not 0 < third <= MOST_FIELDS


def check_ser(path: Path) -> None:
    """Refuse a SER file that says that it holds more than it can: the library takes memory for all of it at once.

    Raises
    ------
    GanDenoiseError, ValueError
        If it does.
    """
    with path.open("rb") as file:
        version, kind, count = SER_HEAD.unpack(file.read(SER_HEAD.size))
        check_parts(path, count)
        place = struct.Struct("<I" if version <= SER_OLD else "<Q")
        for _ in range(2):  # to where the places are, and to the first of them
            (start,) = place.unpack(file.read(place.size))
            file.seek(start)
        element = SER_ELEMENT[kind == SER_IMAGES]
        number, *sides = element.unpack(file.read(element.size))
    if min(count, *sides) < 1:
        raise ValueError("there is no image in it")
    check_declared(path, count * (element.size + SER_BYTES[number] * math.prod(sides)))


def check_zip(path: Path) -> None:
    """Refuse a ZIP file one of whose members unpacks to too much.

    Raises
    ------
    GanDenoiseError
        If one does.
    """
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            check_unpacked(path, member.file_size)


def check_bzip2(path: Path) -> None:
    """Refuse a file that unpacks to too much, or ends too early: a library would wait for the rest for ever.

    Raises
    ------
    GanDenoiseError, EOFError, OSError
        If it does.
    """
    unpacked = 0
    with bz2.open(path) as file:
        while block := file.read(BLOCK):
            unpacked += len(block)
            check_unpacked(path, unpacked)
