"""Files that ask for more than they hold: refused in a sentence before memory is taken; what is real still opens."""

from __future__ import annotations

import bz2
import json
import os
import signal
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.io.test_microscope import DigitalMicrograph, mrc

from napari_gandenoise.datasets.folder import check_folder_steps, read_levels
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.progress import drain
from napari_gandenoise.strangers import UNPACKED

MUCH = 60e6  # bytes that no file of a few kilobytes may cost
TOO_MUCH = "says that it"
MODULO = (
    b'<StructuredAnnotations><XMLAnnotation ID="a" Namespace="openmicroscopy.org/omero/dimension/modulo"><Value>'
    b'<Modulo><ModuloAlongT Start="0" End="1e9"/></Modulo></Value></XMLAnnotation></StructuredAnnotations>'
)


@pytest.fixture
def frugal():
    """Fail if a test takes much memory."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MUCH


@pytest.fixture
def impatient():
    """Fail instead of waiting for a pipe that nobody writes to."""

    class TooLong(BaseException):  # which nobody takes for a damaged file
        pass

    def give_up(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(path: Path, match: str = TOO_MUCH, lazy: bool = False) -> None:
    with pytest.raises(GanDenoiseError, match=match) as caught:
        read_micrograph(path, lazy=lazy)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"\0" * 8) -> bytes:
    """Write a TIFF file of one page by hand: ``(tag, type, count, value)``, pixels right after the header."""
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def page(width: int, height: int, rows: int, compression: int = 8) -> list[tuple[int, int, int, int]]:
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, 1, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "rows"), [(30_000, 30_000, 30_000), (1, 100_000_000, 1)], ids=["pixels", "strips"]
)
def test_a_tiff_file_of_a_hundred_bytes(tmp_path, frugal, width, height, rows, lazy):
    path = tmp_path / "bomb.tif"
    path.write_bytes(tiff(*page(width, height, rows)))
    assert path.stat().st_size < 150
    refused(path, lazy=lazy)


def test_a_tiff_file_with_a_tile_that_is_larger_than_its_image(tmp_path, frugal):
    tags = [(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, 32_000), (323, 4, 1, 32_000), (324, 4, 1, 8), (325, 4, 1, 8)]
    (tmp_path / "bomb.tif").write_bytes(tiff(*tags))
    refused(tmp_path / "bomb.tif")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'SizeT="3"', b'SizeT="1000000000"'),
        (b'PlaneCount="3"', b'PlaneCount="1000000000"'),
        (b'SizeX="8"', b'SizeX="1000000000"'),
        (b"</OME>", MODULO + b"</OME>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lazy", [False, True])
def test_ome_metadata_of_a_thousand_million_frames(tmp_path, frugal, old, new, lazy):
    tifffile.imwrite(
        tmp_path / "x.ome.tif", np.ones((3, 8, 8), "u1"), metadata={"axes": "TYX"}, photometric="minisblack"
    )
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as tif:
        said = tif.ome_metadata.encode()
    assert old in said
    tifffile.imwrite(
        tmp_path / "y.ome.tif", np.ones((3, 8, 8), "u1"), description=said.replace(old, new), metadata=None,
        photometric="minisblack",
    )  # fmt: skip
    refused(tmp_path / "y.ome.tif", lazy=lazy)


def test_imagej_metadata_of_a_thousand_million_frames(tmp_path, frugal):
    said = "ImageJ=1.54f\nimages=1000000000\nframes=1000000000\nhyperstack=true\n"
    pixels = np.ones((8, 8), "u1")
    tifffile.imwrite(tmp_path / "x.tif", pixels, description=said, metadata=None, compression="zlib")
    for lazy in (False, True):
        refused(tmp_path / "x.tif", f"{TOO_MUCH}|cannot be read", lazy=lazy)


def test_a_series_of_thirty_million_frames_in_a_kilobyte(tmp_path, frugal):
    pytest.importorskip("rsciio")
    head = struct.pack("<hhh iiii", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 30_000_000, 30_000_000)
    (tmp_path / "x.ser").write_bytes(head + struct.pack("<ii", len(head) + 8, 0) + bytes(1000))
    refused(tmp_path / "x.ser", lazy=True)


@pytest.mark.parametrize(
    "shape", [(100_000, 100_000), (10**9, 8, 8), (8, 8)], ids=["pixels", "frames", "pixels of a chunk"]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_zarr_array_of_a_few_bytes(tmp_path, frugal, shape, lazy):
    path = tmp_path / "x.zarr"
    path.mkdir()
    chunks = {2: (100_000, 100_000), 3: (1, 8, 8)}[len(shape)]
    about = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<f4", "compressor": None, "fill_value": 0}
    (path / ".zarray").write_text(json.dumps({**about, "order": "C", "filters": None}))
    refused(path, lazy=lazy)


@pytest.mark.parametrize("name", ["berkeley", "velox"])
@pytest.mark.parametrize("lazy", [False, True])
def test_an_emd_file_of_ten_kilobytes(tmp_path, frugal, name, lazy):
    pytest.importorskip("rsciio")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.emd", "w") as file:
        if name == "velox":
            group = file.create_group("Data/Image/0123")
            group.create_dataset("Data", (40_000, 40_000, 1), "u2", chunks=(64, 64, 1))
            group["Metadata"] = np.zeros((4, 1), "u1")
        else:
            group = file.create_group("data/image")
            group.attrs["emd_group_type"] = 1
            group.create_dataset("data", (40_000, 40_000), "u2", chunks=(64, 64))
            group.create_dataset("dim1", (4,))
            group.create_dataset("dim2", (4,))
    refused(tmp_path / "x.emd", lazy=lazy)


def test_an_emd_file_whose_pixels_are_in_another_file(tmp_path):
    pytest.importorskip("rsciio")
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(range(64)))
    with h5py.File(tmp_path / "x.emd", "w") as file:
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", (8, 8), "u1", external=[(str(tmp_path / "secret"), 0, 64)])
        group["dim1"] = group["dim2"] = np.arange(8.0)
    refused(tmp_path / "x.emd", "spread over several files")


def test_an_emd_file_with_a_heap_that_the_library_walks_for_ever(tmp_path):
    pytest.importorskip("rsciio")
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.emd"
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.ones((8, 8), "u1")
        for name in ("dim1", "dim2"):
            group[name] = np.arange(8.0)
            group[name].attrs["units"] = "[n_m]"
    assert read_micrograph(path).pixel_size_nm == 1
    content = bytearray(path.read_bytes())
    content[content.index(b"GCOL") + 24] = 236  # the first text then ends where there is nothing but zeros
    path.write_bytes(content)
    refused(path, "has no end")


def picture(side: int) -> bytes:
    """Write the beginning of a PNG file in colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10_000)))


def test_a_picture_of_gigabytes(tmp_path, frugal):
    (tmp_path / "x.png").write_bytes(picture(13_000))
    refused(tmp_path / "x.png")
    with pytest.raises(GanDenoiseError, match=TOO_MUCH):
        drain(check_folder_steps(tmp_path))
    with pytest.raises(GanDenoiseError, match=TOO_MUCH):
        read_levels(tmp_path / "x.png")


def test_a_picture_that_is_a_program_for_a_printer(tmp_path):
    (tmp_path / "x.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    refused(tmp_path / "x.png", "no picture")


def test_a_folder_of_images_with_a_tiff_file_of_a_hundred_bytes(tmp_path, frugal):
    (tmp_path / "bomb.tif").write_bytes(tiff(*page(30_000, 30_000, 30_000)))
    with pytest.raises(GanDenoiseError, match=TOO_MUCH):
        drain(check_folder_steps(tmp_path))


class TestTheLimit:
    """Set to a hundred kilobytes, so that small files show it."""

    @pytest.fixture(autouse=True)
    def low(self, monkeypatch):
        monkeypatch.setenv(UNPACKED, "1e-4")

    @pytest.fixture
    def empty(self, tmp_path):
        """A megabyte of zeros in a kilobyte."""
        path = tmp_path / "empty.tif"
        tifffile.imwrite(path, np.zeros((4, 250, 1000), "u1"), compression="zlib", photometric="minisblack")
        return path

    def test_what_unpacks_to_a_hundred_times_its_size_is_refused_and_the_sentence_says_how_to_open_it(
        self, empty, monkeypatch
    ):
        refused(empty, UNPACKED)
        monkeypatch.setenv(UNPACKED, "0.01")
        assert read_micrograph(empty).pixels.shape == (4, 250, 1000)

    def test_what_is_no_number_sets_no_limit(self, empty, monkeypatch):
        monkeypatch.setenv(UNPACKED, "a lot")
        assert read_micrograph(empty).pixels.shape == (4, 250, 1000)

    def test_counts_are_never_compressed_as_much(self, tmp_path, rng):
        counts = rng.poisson(0.5, (4, 250, 1000)).astype("u1")
        tifffile.imwrite(tmp_path / "x.tif", counts, compression="zlib", photometric="minisblack")
        np.testing.assert_array_equal(read_micrograph(tmp_path / "x.tif").pixels, counts)

    def test_a_movie_that_is_read_frame_by_frame_is_judged_by_a_frame(self, empty, monkeypatch):
        monkeypatch.setenv(UNPACKED, "3e-4")
        refused(empty)
        assert read_micrograph(empty, lazy=True).frame(3).pixels.max() == 0

    def test_a_zarr_folder_is_as_large_as_all_its_files(self, tmp_path, rng):
        zarr = pytest.importorskip("zarr")
        for name, pixels in (("full", rng.random((500, 500))), ("empty", np.zeros((500, 500)))):
            zarr.create_array(tmp_path / f"{name}.zarr", data=pixels, chunks=(100, 100))
        assert read_micrograph(tmp_path / "full.zarr").pixels.shape == (500, 500)
        refused(tmp_path / "empty.zarr")


def test_a_file_that_one_may_not_read(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", np.ones((8, 8), "u1"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # as whoever tests may read everything
    refused(tmp_path / "x.tif", "you lack the permission to read it")


@pytest.mark.parametrize("name", ["x.tif", "x.png", "x.mrc"])
def test_a_pipe_is_no_image(tmp_path, impatient, name):
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "is a pipe or a device, no file")


def test_pipes_in_a_zarr_folder_are_not_waited_for(tmp_path, impatient):
    path = tmp_path / "x.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"multiscales": [{
            "axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]}}})
    )  # fmt: skip
    (path / "0").mkdir()
    os.mkfifo(path / "0" / "zarr.json")
    refused(path, "cannot be read")


def test_an_ome_file_that_names_a_pipe(tmp_path, impatient):
    tifffile.imwrite(
        tmp_path / "x.ome.tif", np.ones((3, 8, 8), "u1"), metadata={"axes": "TYX"}, photometric="minisblack"
    )
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as tif:
        said = tif.ome_metadata.encode()
    other = b'<UUID FileName="pipe">urn:uuid:another</UUID></TiffData>'
    said = said.replace(b'PlaneCount="3"/>', b'PlaneCount="3">' + other)
    assert other in said
    tifffile.imwrite(
        tmp_path / "x.ome.tif", np.ones((3, 8, 8), "u1"), description=said, metadata=None, photometric="minisblack"
    )
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "x.ome.tif", "spread over several files")


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("filters", "dtype"), [([{"id": "vlen-utf8"}, {"id": "pickle"}], "|O"), (None, "<c8")])
def test_values_that_are_no_numbers_are_not_even_unpacked(tmp_path, filters, dtype, lazy):
    path = tmp_path / "x.zarr"
    path.mkdir()
    about = {
        "zarr_format": 2,
        "shape": (4, 4),
        "chunks": (4, 4),
        "dtype": dtype,
        "compressor": None,
        "fill_value": None,
    }
    (path / ".zarray").write_text(json.dumps({**about, "order": "C", "filters": filters}))
    (path / "0.0").write_bytes(b"\x80\x04N.")
    refused(path, "make no image", lazy=lazy)


@pytest.mark.parametrize(
    "about",
    [
        {"axes": [{"name": "y"}], "datasets": [{"path": "0"}]},
        {"axes": [{"name": "y", "unit": 3}, {"name": "x"}], "datasets": [{"path": 0}]},
        {"axes": [{"name": "y", "unit": "nanometer"}, {"name": "x", "unit": "nanometer"}], "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": ["a", "b"]}]}]},
        {"axes": "yx", "datasets": []},
    ],
)  # fmt: skip
def test_odd_ome_zarr_metadata_are_refused_in_a_sentence(tmp_path, about):
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group(tmp_path / "x.zarr", attributes={"ome": {"multiscales": [about]}})
    group.create_array("0", data=np.ones((8, 8), "f4"))
    refused(tmp_path / "x.zarr", "cannot be read")


@pytest.mark.parametrize("target", ["pipe", "link", "link to link", "/dev/zero"])
@pytest.mark.parametrize("kind", ["dataset", "raw", "group", "virtual", "hyperspy"])
def test_pipes_that_an_hdf5_file_links_to_are_not_waited_for(tmp_path, impatient, kind, target):
    h5py = pytest.importorskip("h5py")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "link to link").symlink_to("link")
    there = str(tmp_path / target)  # an absolute one stays as it is
    path = tmp_path / ("x.hspy" if kind == "hyperspy" else "x.emd")
    with h5py.File(path, "w") as file:
        if kind == "group":
            file["experiment"] = h5py.ExternalLink(there, "/x")
        elif kind == "hyperspy":
            file.attrs["file_format"] = "HyperSpy"
            file.create_group("Experiments/a")["data"] = h5py.ExternalLink(there, "/data")
        else:
            image = file.create_group("experiment/image")
            image.attrs["emd_group_type"] = 1
            image["dim1"] = image["dim2"] = np.arange(8.0)
            if kind == "dataset":
                image["data"] = h5py.ExternalLink(there, "/data")
            elif kind == "raw":
                image.create_dataset("data", shape=(8, 8), dtype="f4", external=[(there, 0, 256)])
            else:
                layout = h5py.VirtualLayout((8, 8), "f4")
                layout[:] = h5py.VirtualSource(there, "data", (8, 8))
                image.create_virtual_dataset("data", layout)
    for lazy in (False, True):
        refused(path, "spread over several files", lazy=lazy)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("size", "frames"), [(60_000, 1), (20_000, 2), (4, 10**9), (2**31, 2**31), (4, 99_999)])
def test_a_tiny_first_page_beside_a_huge_declared_one(tmp_path, frugal, impatient, size, frames, lazy):
    said = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{size}" SizeY="{size}" SizeC="1" SizeZ="1" '
        f'SizeT="{frames}"><TiffData/></Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(tmp_path / "x.ome.tif") as file:
        file.write(np.ones((4, 4), "u1"), description=said, metadata=None)
        file.write(np.zeros((4000, 4000), "u1"), compression="zlib", metadata=None)
    refused(tmp_path / "x.ome.tif", f"{TOO_MUCH}|incompatible keyframe", lazy=lazy)


def hspy_signal(file, title="one", **about):
    """Begin a signal of HyperSpy: all but its pixels."""
    group = file.create_group(f"Experiments/{title}")
    file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
    for name in ("metadata", "original_metadata", "metadata/General", "metadata/Signal"):
        group.create_group(name)
    for number in range(2):
        group.create_group(f"axis-{number}").attrs.update(
            {"name": "yx"[number], "scale": 1.0, "size": 8, "units": "nm", "navigate": False, "offset": 0.0}
        )
    return group


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("place", ["data", "metadata/General/title"])
def test_a_hyperspy_file_of_ten_kilobytes(tmp_path, frugal, lazy, place):
    pytest.importorskip("rsciio")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.hspy", "w") as file:
        group = hspy_signal(file)
        if place != "data":
            group["data"] = np.ones((8, 8), "u1")
        group.create_dataset(place, (40_000, 40_000), "u2", chunks=(64, 64))
    refused(tmp_path / "x.hspy", lazy=lazy)


def test_a_hyperspy_file_that_leads_to_another(tmp_path):
    pytest.importorskip("rsciio")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones((8, 8), "u1")
    with h5py.File(tmp_path / "x.hspy", "w") as file:
        hspy_signal(file)["data"] = h5py.ExternalLink("secret.h5", "/data")
    refused(tmp_path / "x.hspy", "spread over several files")


@pytest.mark.parametrize("info", [(20, 15, 0, 0, 2**30), (20, 18, 0, 2**30), (15, 0, 0, 0)])
@pytest.mark.parametrize("version", [3, 4])
def test_tags_of_digitalmicrograph_that_are_read_for_ever(tmp_path, frugal, impatient, info, version):
    pytest.importorskip("rsciio")
    writer = DigitalMicrograph(version)
    writer.tags = (writer.tag("x", *info, data=b""),)
    (tmp_path / "x.dm3").write_bytes(writer.file(np.ones((8, 8), "u2")))
    refused(tmp_path / "x.dm3", "no end")


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1, 1), (64, 64, 2**31 - 1), (8, 8, 10)])
@pytest.mark.parametrize("lazy", [False, True])
def test_an_mrc_file_of_two_kilobytes(tmp_path, frugal, size, lazy):
    content = bytearray(mrc(np.ones((8, 8), "u2")))
    struct.pack_into("<3i", content, 0, *size)
    (tmp_path / "x.mrc").write_bytes(content)
    if size[0] > 8:
        refused(tmp_path / "x.mrc", "cannot be read", lazy=lazy)
    else:
        assert read_micrograph(tmp_path / "x.mrc", lazy=lazy).frames == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_a_blockfile_of_a_thousand_million_patterns(tmp_path, frugal, impatient, lazy):
    pytest.importorskip("rsciio")
    head = struct.pack("<6s H II HHHHH", b"IMGBLO", 0x0102, 512, 600, 0, 4, 65_000, 65_000, 0)
    (tmp_path / "x.blo").write_bytes(head.ljust(2000, b"\0"))
    refused(tmp_path / "x.blo", f"cannot be read|{TOO_MUCH}", lazy=lazy)


def test_a_compressed_file_that_ends_too_early_is_not_waited_for(tmp_path, impatient):
    pytest.importorskip("rsciio")
    (tmp_path / "x.elid").write_bytes(bz2.compress(b"EID2\4\0\0\0" + bytes(100_000))[:-20])
    refused(tmp_path / "x.elid", "cannot be read")


def test_a_compressed_file_of_much_more_than_it_is(tmp_path, impatient, monkeypatch):
    pytest.importorskip("rsciio")
    monkeypatch.setenv(UNPACKED, "1e-3")
    (tmp_path / "x.elid").write_bytes(bz2.compress(bytes(2**22)))
    refused(tmp_path / "x.elid")


@pytest.mark.parametrize("suffix", [".prz", ".zspy"])
def test_a_zip_file_of_gigabytes(tmp_path, frugal, suffix):
    pytest.importorskip("rsciio")
    with (
        zipfile.ZipFile(tmp_path / f"x{suffix}", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("data.npy", "w") as data,
    ):
        for _ in range(300):
            data.write(bytes(2**20))
    refused(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("name", ["../secret.raw", "/dev/zero", "pipe.raw"])
def test_pixels_beside_a_file_are_plain_files_beside_it(tmp_path, impatient, name):
    pytest.importorskip("rsciio")
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(128 * 130 * 4))
    os.mkfifo(folder / "pipe.raw")
    (folder / "x.xml").write_text(
        f"<root><raw_file filename='{name}'/><scan_parameters><series_count>1</series_count></scan_parameters></root>"
    )
    with pytest.raises(GanDenoiseError, match=r"names no file|is a pipe"):
        read_micrograph(folder / "x.xml")


@pytest.mark.parametrize("lazy", [False, True])
def test_an_array_of_objects_or_of_more_than_is_stored(tmp_path, frugal, lazy):
    np.save(tmp_path / "x.npy", np.array([[print]], dtype=object), allow_pickle=True)
    refused(tmp_path / "x.npy", "cannot be read", lazy=lazy)
    content = bytearray(
        b"\x93NUMPY\1\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }".ljust(127)
    )
    (tmp_path / "y.npy").write_bytes(content + b"\n" + bytes(64))
    refused(tmp_path / "y.npy", "cannot be read", lazy=lazy)
