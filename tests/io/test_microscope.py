"""Files of microscopes: written by ncempy where it can, byte by byte where it cannot."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from napari_gandenoise import manifest as commands
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph

ncempy = pytest.importorskip("ncempy")
h5py = pytest.importorskip("h5py")

PIXEL_NM = 0.0122


@pytest.fixture(params=[1, 3], ids=["image", "series"])
def pixels(request, rng):
    image = rng.integers(0, 900, (request.param, 20, 24), dtype=np.uint16)
    return image[0] if request.param == 1 else image


def write_mrc(path, pixels):
    from ncempy.io.mrc import mrcWriter

    mrcWriter(path, np.atleast_3d(pixels) if pixels.ndim == 3 else pixels[None], (10 * PIXEL_NM,) * 3)


def write_berkeley_emd(path, pixels):
    from ncempy.io.emd import fileEMD

    axes = [(np.arange(side) * PIXEL_NM, name, "[n_m]") for side, name in zip(pixels.shape[-2:], "yx", strict=True)]
    if pixels.ndim == 3:
        axes.insert(0, (np.arange(len(pixels)), "t", "[s]"))
    file = fileEMD(path, readonly=False)
    file.put_emdgroup("image", pixels, tuple(axes))
    del file


def write_velox_emd(path, pixels):
    about = {
        "BinaryResult": {
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "PixelSize": {"width": str(PIXEL_NM * 1e-9), "height": str(PIXEL_NM * 1e-9)},
            "Detector": "Ceta",
        },
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "0"}},
        "Stage": {},
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)[:, None]
    frames = pixels if pixels.ndim == 3 else pixels[None]
    with h5py.File(path, "w") as file:
        group = file.create_group("Data/Image/0123abcd")
        group["Data"] = np.moveaxis(frames, 0, -1)
        group["Metadata"] = np.repeat(text, len(frames), axis=1)


def write_ser(path, pixels):
    """TIA's format as ncempy knows it: little-endian, rows from the bottom up."""
    frames = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = frames.shape
    head = struct.pack("<hhh iiii", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, count, count)
    data_at = len(head) + 8 + 8 * count
    element = 2 * (8 + 8 + 4) + 2 + 8 + frames[0].nbytes
    offsets = [data_at + number * element for number in range(count)]
    blob = head + struct.pack("<ii", len(head) + 8, 0) + struct.pack(f"<{2 * count}i", *offsets, *offsets)
    for frame in frames:
        blob += struct.pack("<ddi", 0.0, PIXEL_NM * 1e-9, 0) * 2
        blob += struct.pack("<hii", 2, width, height) + frame[::-1].astype("<u2").tobytes()
    path.write_bytes(blob)


class DigitalMicrograph:
    """A writer of the tags that hold an image, in version 3 or 4 of the format."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.number = ">i" if version == 3 else ">q"

    def integer(self, value: int) -> bytes:
        return struct.pack(self.number, value)

    def tag(self, name: str, *info: int, data: bytes) -> bytes:
        content = b"%%%%" + self.integer(len(info)) + b"".join(map(self.integer, info)) + data
        size = b"" if self.version == 3 else self.integer(len(content))
        return b"\x15" + struct.pack(">H", len(name)) + name.encode() + size + content

    def group(self, name: str, *tags: bytes) -> bytes:
        content = b"\1\0" + self.integer(len(tags)) + b"".join(tags)
        size = b"" if self.version == 3 else self.integer(len(content))
        return b"\x14" + struct.pack(">H", len(name)) + name.encode() + size + content

    def long(self, name: str, value: int) -> bytes:
        return self.tag(name, 5, data=struct.pack("<I", value))

    def text(self, name: str, value: str) -> bytes:
        return self.tag(name, 20, 4, len(value), data=value.encode("utf-16-le"))

    def file(self, pixels) -> bytes:
        sides = pixels.shape[::-1]
        scale = [
            self.group(
                "",
                self.tag("Origin", 6, data=struct.pack("<f", 0)),
                self.tag("Scale", 6, data=struct.pack("<f", PIXEL_NM if axis < 2 else 1)),
                self.text("Units", "nm" if axis < 2 else "s"),
            )
            for axis in range(len(sides))
        ]
        image = self.group(
            "ImageData",
            self.group("Calibrations", self.group("Dimension", *scale)),
            self.tag("Data", 20, 4, pixels.size, data=pixels.astype("<u2").tobytes()),
            self.long("DataType", 10),
            self.group("Dimensions", *(self.long("", side) for side in sides)),
            self.long("PixelDepth", 2),
        )
        root = self.group("", self.group("ImageList", self.group("", image)))[3:]
        root = root if self.version == 3 else root[8:]
        return struct.pack(">i", self.version) + self.integer(len(root)) + struct.pack(">i", 1) + root + b"\0" * 8


def write_dm3(path, pixels):
    path.write_bytes(DigitalMicrograph(3).file(pixels))


def write_dm4(path, pixels):
    path.write_bytes(DigitalMicrograph(4).file(pixels))


WRITERS = {
    "a.mrc": write_mrc,
    "berkeley.emd": write_berkeley_emd,
    "velox.emd": write_velox_emd,
    "a.ser": write_ser,
    "a.dm3": write_dm3,
    "a.dm4": write_dm4,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("lazy", [False, True])
def test_files_of_microscopes_open_with_their_pixel_size(tmp_path, pixels, name, lazy):
    path = tmp_path / name
    WRITERS[name](path, pixels)
    found = read_micrograph(path, lazy=lazy)
    assert found.pixels.shape == pixels.shape
    assert found.pixels.dtype == np.uint16
    assert found.pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)
    for index in range(found.frames):
        np.testing.assert_array_equal(found.frame(index).pixels, pixels[index] if pixels.ndim == 3 else pixels)


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, name, rng):
    path = tmp_path / name
    WRITERS[name](path, rng.integers(0, 900, (20, 24), dtype=np.uint16))
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(GanDenoiseError, match="cannot be read") as caught:
        read_micrograph(path)
    assert "\n" not in str(caught.value)


def test_napari_reads_them_as_layers_in_nanometres(tmp_path, rng):
    pixels = rng.integers(0, 900, (3, 20, 24), dtype=np.uint16)
    write_dm4(tmp_path / "series.dm4", pixels)
    [(data, options, kind)] = commands.get_reader(str(tmp_path / "series.dm4"))(str(tmp_path / "series.dm4"))
    assert kind == "image"
    assert options["scale"] == pytest.approx((1, PIXEL_NM, PIXEL_NM))
    assert options["units"] == ("pixel", "nm", "nm")
    np.testing.assert_array_equal(np.asarray(data), pixels)
    assert commands.get_reader(["a.dm4", "b.dm4"]) is None
