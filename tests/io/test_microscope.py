"""Files of microscopes: written byte by byte, or by rosettasciio."""

from __future__ import annotations

import json
import struct
import sys
from importlib.resources import files

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_gandenoise import manifest as commands
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.io.formats import FORMATS, MICROSCOPE_SUFFIXES, OWN

rsciio = pytest.importorskip("rsciio")
h5py = pytest.importorskip("h5py")

PIXEL_NM = 0.0122


@pytest.fixture(params=[1, 3], ids=["image", "series"])
def pixels(request, rng):
    image = rng.integers(0, 900, (request.param, 20, 24), dtype=np.uint16)
    return image[0] if request.param == 1 else image


def mrc(pixels, cell=10 * PIXEL_NM, mode=6, order="<", extended=b"", kind=b"", version=20140, **more):
    """Write an MRC file with square pixels whose sides are ``cell``, in ångström."""
    sections, rows, columns = pixels.shape if pixels.ndim == 3 else (1, *pixels.shape)
    header = bytearray(1024)
    fields = {0: (columns, rows, sections, mode), 28: (columns, rows, sections), 92: (len(extended),), 108: (version,)}
    for place, values in (fields | more.pop("integers", {})).items():
        struct.pack_into(f"{order}{len(values)}i", header, place, *values)
    struct.pack_into(f"{order}3f", header, 40, cell * columns, cell * rows, cell * sections)
    header[104:108] = kind.ljust(4, b"\0")
    header[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    return bytes(header) + extended + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()


def write_mrc(path, pixels):
    path.write_bytes(mrc(pixels))


def write_berkeley_emd(path, pixels):
    axes = [(np.arange(side) * PIXEL_NM, name, "[n_m]") for side, name in zip(pixels.shape[-2:], "yx", strict=True)]
    if pixels.ndim == 3:
        axes.insert(0, (np.arange(len(pixels)), "t", "[s]"))
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = pixels
        for number, (values, name, unit) in enumerate(axes, start=1):
            group[f"dim{number}"] = values
            group[f"dim{number}"].attrs.update(name=name, units=unit)


def velox(file, pixels, detector, number):
    """Add the images of a detector to a Velox file."""
    about = {
        "BinaryResult": {
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "PixelSize": {"width": str(PIXEL_NM * 1e-9), "height": str(PIXEL_NM * 1e-9)},
            "Detector": str(number),
            "DetectorIndex": str(number),
        },
        "Detectors": {f"Detector-{number}": {"DetectorName": detector}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "0"}},
        "Scan": {"FrameTime": "0.5"},
        "Core": {"MetadataDefinitionVersion": "7.9", "MetadataSchemaVersion": "v1/2013/07"},
        "Stage": {},
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)[:, None]
    frames = pixels if pixels.ndim == 3 else pixels[None]
    group = file.create_group(f"Data/Image/{number:032x}")
    group["Data"] = np.moveaxis(frames, 0, -1)
    group["Metadata"] = np.repeat(text, len(frames), axis=1)


def write_velox(path, images):
    with h5py.File(path, "w") as file:
        file["Version"] = [json.dumps({"format": "Velox", "version": "1.0"})]
        for number, (detector, pixels) in enumerate(images.items()):
            velox(file, pixels, detector, number)


def write_velox_emd(path, pixels):
    write_velox(path, {"HAADF": pixels})


def write_ser(path, pixels):
    """TIA's format: little-endian, rows from the bottom up, a tag with the time after each image."""
    frames = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = frames.shape
    dimension = struct.pack("<iddiii", count, 0, 1, 0, 0, 0)
    head = struct.pack("<hhh iiii", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, count, count)
    places_at = len(head) + 8 + len(dimension)
    element = 2 * (8 + 8 + 4) + 2 + 8 + frames[0].nbytes
    places = [places_at + 8 * count + number * (element + 8) for number in range(count)]
    blob = head + struct.pack("<ii", places_at, 1) + dimension
    blob += struct.pack(f"<{2 * count}i", *places, *(place + element for place in places))
    for number, frame in enumerate(frames):
        blob += struct.pack("<ddi", 0.0, PIXEL_NM * 1e-9, 0) * 2
        blob += struct.pack("<hii", 2, width, height) + frame[::-1].astype("<u2").tobytes()
        blob += struct.pack("<hhi", 0x4152, 0, number)
    path.write_bytes(blob)


class DigitalMicrograph:
    """A writer of the tags that hold an image, in version 3 or 4 of the format."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.tags: tuple[bytes, ...] = ()  # more of them
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
        root = self.group("", self.group("ImageList", self.group("", image, self.group("ImageTags", *self.tags))))[3:]
        root = root if self.version == 3 else root[8:]
        return struct.pack(">i", self.version) + self.integer(len(root)) + struct.pack(">i", 1) + root + b"\0" * 8


def write_dm3(path, pixels):
    path.write_bytes(DigitalMicrograph(3).file(pixels))


def write_dm4(path, pixels):
    path.write_bytes(DigitalMicrograph(4).file(pixels))


def write_hspy(path, pixels, unit="nm", step=PIXEL_NM, navigates=(True,), title="", kind=""):
    """HyperSpy's file, as its library writes it."""
    from rsciio.hspy import file_writer

    spare = pixels.ndim - 2
    axes = [
        {"name": name, "size": side, "scale": scale, "units": units, "offset": 0.0, "navigate": moves}
        for name, side, scale, units, moves in zip(
            ["t"] * spare + ["y", "x"], pixels.shape, [1.0] * spare + [step] * 2, ["s"] * spare + [unit] * 2,
            (*navigates * spare, False, False), strict=True,
        )
    ]  # fmt: skip
    about = {"General": {"title": title}, "Signal": {"signal_type": kind}}
    signal = {"data": pixels, "axes": axes, "metadata": about, "original_metadata": {}, "learning_results": {}}
    more = {"attributes": {"_lazy": False}, "tmp_parameters": {}, "package_info": {}, "models": {}}
    file_writer(str(path), signal | more, show_progressbar=False)


def write_mib(path, pixels):
    """Merlin's file, which knows no pixel size."""
    height, width = pixels.shape[-2:]
    words = ["MQ1", "000001", "00384", "01", f"{width:04}", f"{height:04}", "U16", "   1x1", "01"]
    head = ",".join([*words, "2021-05-07T16:51:10.905800928Z", "1200.0ms", "12", ""]).encode().ljust(384)
    path.write_bytes(
        b"".join(head + frame[::-1].astype(">u2").tobytes() for frame in pixels.reshape(-1, height, width))
    )


WRITERS = {
    "a.hspy": write_hspy,
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
    assert options["units"] == ("second", "nm", "nm")
    np.testing.assert_array_equal(np.asarray(data), pixels)
    assert commands.get_reader(["a.dm4", "b.dm4"]) is None


class TestMrc:
    """Headers as they are met with."""

    @pytest.fixture
    def counts(self, rng):
        return rng.integers(0, 100, (3, 20, 24))

    def read(self, tmp_path, content, name="a.mrc"):
        (tmp_path / name).write_bytes(content)
        return read_micrograph(tmp_path / name)

    @pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".map", ".st", ".rec", ".ali"])
    def test_by_any_name(self, tmp_path, counts, suffix):
        found = self.read(tmp_path, mrc(counts.astype("u2")), f"a{suffix}")
        np.testing.assert_array_equal(found.pixels, counts)

    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize(("mode", "kind"), [(0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")])
    def test_of_any_kind_of_number_and_byte_order(self, tmp_path, counts, mode, kind, order):
        pixels = counts.astype(kind)
        found = self.read(tmp_path, mrc(pixels, mode=mode, order=order))
        assert found.pixels.dtype.newbyteorder("=") == pixels.dtype
        np.testing.assert_array_equal(found.pixels, pixels)
        assert found.pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)

    def test_bytes_are_signed_where_the_standard_or_imod_says_so(self, tmp_path):
        pixels = np.full((4, 4), 200, "u1")
        imod = {152: (1146047817, 0)}
        assert self.read(tmp_path, mrc(pixels, mode=0)).pixels.max() == 200 - 256
        assert self.read(tmp_path, mrc(pixels, mode=0, version=0)).pixels.max() == 200
        assert self.read(tmp_path, mrc(pixels, mode=0, integers=imod)).pixels.max() == 200

    @pytest.mark.parametrize("cell", [0.0, -10.0, float("nan")])
    def test_a_cell_that_is_none_says_nothing_of_the_pixel_size(self, tmp_path, counts, cell):
        found = self.read(tmp_path, mrc(counts.astype("u2"), cell=cell))
        assert found.pixel_size_nm is None

    def test_a_pixel_of_nothing_is_no_size(self, tmp_path, counts):
        found = self.read(tmp_path, mrc(counts.astype("u2"), cell=1e-9))
        assert found.pixel_size_nm is None
        assert "no microscope" in found.notes[0]

    def test_symmetry_records_are_text(self, tmp_path, counts):
        found = self.read(tmp_path, mrc(counts.astype("u2"), extended=b" " * 80))
        np.testing.assert_array_equal(found.pixels, counts)
        assert found.pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)

    def test_blanks_as_long_as_a_header_of_fei_are_none(self, tmp_path, counts):
        found = self.read(tmp_path, mrc(counts.astype("u2"), cell=0, extended=b" " * 1024 * 128))
        np.testing.assert_array_equal(found.pixels, counts)
        assert found.pixel_size_nm is None

    def test_serialem_keeps_tilts_there(self, tmp_path, counts):
        found = self.read(tmp_path, mrc(counts.astype("u2"), extended=bytes(range(96)), kind=b"SERI"))
        np.testing.assert_array_equal(found.pixels, counts)

    def test_fei_keeps_the_pixel_size_there(self, tmp_path, counts):
        old = bytearray(1024 * 128)
        struct.pack_into("<f", old, 44, 1e-9 * PIXEL_NM)
        new = bytearray(768)
        struct.pack_into("<2d", new, 156, 1e-9 * PIXEL_NM, 1e-9 * PIXEL_NM)
        for extended, kind in ((old, b""), (new, b"FEI1")):
            content = mrc(counts.astype("u2"), cell=0, extended=bytes(extended), kind=kind)
            assert self.read(tmp_path, content).pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)

    def test_one_that_is_cut_off_keeps_its_whole_images(self, tmp_path, counts):
        found = self.read(tmp_path, mrc(counts.astype("u2"))[:-100])
        np.testing.assert_array_equal(found.pixels, counts[:2])
        assert "2 of 3 images are whole" in found.notes[0]


class TestAxes:
    """What is an image is judged by the axes."""

    def refused(self, tmp_path, pixels, **about):
        write_hspy(tmp_path / "a.hspy", pixels, **about)
        with pytest.raises(GanDenoiseError) as caught:
            read_micrograph(tmp_path / "a.hspy")
        return str(caught.value)

    def test_a_spectrum_image_is_refused_by_name(self, tmp_path):
        said = self.refused(tmp_path, np.ones((16, 16, 64), "u1"), unit="eV")
        assert "holds a spectrum image (16×16×64 eV)" in said

    def test_diffraction_patterns_of_a_scan_are_refused_by_name(self, tmp_path):
        said = self.refused(tmp_path, np.ones((3, 4, 8, 8), "u1"), unit="1/nm")
        assert "holds 4D-STEM data (3×4×8×8)" in said

    def test_complex_numbers_are_said_to_be(self, tmp_path):
        assert "holds complex numbers (8×8)" in self.refused(tmp_path, np.ones((8, 8), "c8"))

    def test_a_diffraction_pattern_has_no_pixel_size(self, tmp_path):
        write_hspy(tmp_path / "a.hspy", np.ones((8, 8), "u1"), unit="1 / nm", step=0.2)
        found = read_micrograph(tmp_path / "a.hspy")
        assert found.pixel_size_nm is None
        assert found.notes == ("a is a diffraction pattern: it has no pixel size.",)

    @pytest.mark.parametrize(
        ("step", "unit", "nm"), [(10, "pm", 0.01), (0.2, "Å", 0.02), (3, "µm", 3000), (2, "px", None)]
    )
    def test_lengths_of_any_unit(self, tmp_path, step, unit, nm):
        write_hspy(tmp_path / "a.hspy", np.ones((8, 8), "u1"), unit=unit, step=step)
        assert read_micrograph(tmp_path / "a.hspy").pixel_size_nm == (nm and pytest.approx(nm))

    @pytest.mark.parametrize("step", [1e-10, 1e17])
    def test_lengths_that_no_microscope_has_are_left_out(self, tmp_path, step):
        write_hspy(tmp_path / "a.hspy", np.ones((8, 8), "u1"), step=step)
        found = read_micrograph(tmp_path / "a.hspy")
        assert found.pixel_size_nm is None
        assert "no microscope" in found.notes[0]

    def test_a_stack_has_the_time_between_its_images(self, tmp_path):
        write_hspy(tmp_path / "a.hspy", np.ones((3, 8, 8), "u1"))
        assert read_micrograph(tmp_path / "a.hspy").frame_interval_s == 1


def test_merlin_keeps_no_pixel_size(tmp_path, pixels):
    write_mib(tmp_path / "a.mib", pixels)
    found = read_micrograph(tmp_path / "a.mib", lazy=True)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixel_size_nm is None


def test_an_array_whose_rows_come_second_is_turned_round(tmp_path, rng):
    pixels = rng.integers(0, 900, (20, 24), dtype=np.uint16)
    write_berkeley_emd(tmp_path / "a.emd", pixels)
    with h5py.File(tmp_path / "a.emd", "a") as file:
        for dim, name in (("dim1", "x"), ("dim2", "y")):
            file[f"data/image/{dim}"].attrs["name"] = name
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.emd").pixels, pixels.T)


def test_hyperspy_in_zarr(tmp_path, pixels):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zspy", mode="w", zarr_format=2).create_group("Experiments/one")
    group.create_array("data", data=pixels, chunks=(1,) * (pixels.ndim - 2) + pixels.shape[-2:])
    for number in range(pixels.ndim):
        movie = number == pixels.ndim - 3
        about = {"scale": 0.5 if movie else PIXEL_NM, "units": "s" if movie else "nm", "navigate": movie}
        group.create_group(f"axis-{number}").attrs.update({"name": "_None_", **about})
    found = read_micrograph(tmp_path / "a.zspy", lazy=True)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixel_size_nm == PIXEL_NM
    assert found.frame_interval_s == (0.5 if pixels.ndim == 3 else None)


def test_without_rosettasciio_the_sentence_says_what_to_install(tmp_path, monkeypatch, rng):
    write_dm3(tmp_path / "a.dm3", rng.integers(0, 900, (20, 24), dtype=np.uint16))
    monkeypatch.setitem(sys.modules, "rsciio", None)
    with pytest.raises(GanDenoiseError, match=r"install rosettasciio: pip install 'napari-gandenoise\[formats\]'"):
        read_micrograph(tmp_path / "a.dm3")


class TestListOfFormats:
    """It agrees with rosettasciio's and with the manifest's."""

    def test_rosettasciio_reads_those_suffixes(self):
        theirs = {plugin["api"].split(".")[1]: plugin["file_extensions"] for plugin in rsciio.IO_PLUGINS}
        for kind in FORMATS:
            if kind.reader not in OWN:
                assert set(kind.suffixes) <= {f".{suffix.lower()}" for suffix in theirs[kind.reader]}, kind.name

    def test_napari_offers_them_to_us(self):
        manifest = PluginManifest.from_file(files("napari_gandenoise") / "napari.yaml")
        [reader] = manifest.contributions.readers
        assert {f"*{suffix}" for suffix in MICROSCOPE_SUFFIXES} <= set(reader.filename_patterns)
