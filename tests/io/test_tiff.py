"""TIFF files: round trips, other programs' dialects, damage, full disks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import dask.array as da
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph, write_tiff

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
names = st.sampled_from(["image.tif", "image.ome.tif"])


@in_one_folder
@given(
    name=names,
    pixels=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=9)),
    size=st.floats(1e-4, 900),
    lazy=st.booleans(),
)
def test_what_is_written_is_read_back(tmp_path, name, pixels, size, lazy):
    write_tiff(tmp_path / name, pixels, pixel_size_nm=size, overwrite=True)
    found = read_micrograph(tmp_path / name, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(found.pixels), pixels)
    assert found.pixels.dtype == np.float32
    assert found.pixel_size_nm == pytest.approx(size, rel=1e-6)
    assert found.name == "image"
    assert found.is_stack == (pixels.ndim == 3)


@in_one_folder
@given(
    pixels=hnp.arrays(
        st.one_of(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes()),
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=9),
    ),
    compression=st.sampled_from([None, "zlib"]),
    byteorder=st.sampled_from("<>"),
    lazy=st.booleans(),
)
def test_plain_files_of_any_type_are_read(tmp_path, pixels, compression, byteorder, lazy):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(
        path, pixels, compression=compression, byteorder=byteorder, photometric="minisblack", metadata=None
    )
    found = read_micrograph(path, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(found.pixels), pixels)
    assert found.frame(0).pixels.dtype == pixels.dtype.newbyteorder("=")
    assert found.pixel_size_nm is None


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (1, 9, 8), (3, 1, 8)])
def test_thin_images_keep_their_shape(tmp_path, shape):
    tifffile.imwrite(tmp_path / "thin.tif", np.ones(shape, np.uint16), photometric="minisblack")
    expected = shape[1:] if shape[0] == 1 and len(shape) == 3 else shape
    assert read_micrograph(tmp_path / "thin.tif").pixels.shape == expected


@pytest.mark.parametrize("name", ["rgb.tif", "rgb.ome.tif"])
def test_colour_images_survive(tmp_path, name, rng):
    pixels = rng.random((7, 8, 3), dtype=np.float32)
    write_tiff(tmp_path / name, pixels, axes="YXS", pixel_size_nm=250.0)
    found = read_micrograph(tmp_path / name)
    assert found.rgb
    assert found.pixel_size_nm == 250
    np.testing.assert_array_equal(found.pixels, pixels)


def test_planar_colour_images_are_turned(tmp_path, rng):
    pixels = rng.integers(255, size=(3, 7, 8), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "planar.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_micrograph(tmp_path / "planar.tif").pixels, np.moveaxis(pixels, 0, -1))


class TestPixelSize:
    """As microscopes, Fiji and other programs store it."""

    @pytest.mark.parametrize(
        ("unit", "per_unit", "nm"),
        [
            ("nm", 50, 0.02),
            ("pm", 0.16, 0.00625),
            ("\\u00B5m", 50_000, 0.02),
            ("micron", 50_000, 0.02),
            ("Å", 5, 0.02),
            ("inch", 1e6, 25.4),
            ("pixel", 1, None),
        ],
    )
    def test_imagej(self, tmp_path, unit, per_unit, nm):
        path, pixels = tmp_path / "imagej.tif", np.ones((4, 5), np.uint16)
        description = f"ImageJ=1.54f\nunit={unit}\nloop=false\n".encode("latin-1")
        tifffile.imwrite(path, pixels, resolution=(per_unit, per_unit), description=description, metadata=None)
        assert read_micrograph(path).pixel_size_nm == (None if nm is None else pytest.approx(nm, rel=1e-5))

    @pytest.mark.parametrize(("unit", "nm"), [("nm", 0.25), ("µm", 250), ("Å", 0.025), ("pixel", None), (None, 250)])
    def test_ome(self, tmp_path, unit, nm):
        metadata = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
        if unit:
            metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
        tifffile.imwrite(tmp_path / "x.ome.tif", np.ones((4, 5), np.uint16), metadata=metadata)
        assert read_micrograph(tmp_path / "x.ome.tif").pixel_size_nm == (None if nm is None else pytest.approx(nm))

    def test_plain_resolution_of_a_microscope(self, tmp_path):
        path = tmp_path / "plain.tif"
        tifffile.imwrite(
            path, np.ones((4, 5), np.uint8), resolution=(1e7 / 0.02, 1e7 / 0.02), resolutionunit="CENTIMETER"
        )
        assert read_micrograph(path).pixel_size_nm == pytest.approx(0.02)

    @pytest.mark.parametrize("dpi", [0, 1, 72, 300, 1200])
    def test_dots_per_inch_of_a_printer_are_no_pixel_size(self, tmp_path, dpi):
        path = tmp_path / "plain.tif"
        tifffile.imwrite(path, np.ones((4, 5), np.uint8), resolution=(dpi, dpi), resolutionunit="INCH")
        assert read_micrograph(path).pixel_size_nm is None

    @pytest.mark.parametrize("name", ["oblong.tif", "oblong.ome.tif"])
    def test_oblong_pixels_keep_both_sides(self, tmp_path, name):
        write_tiff(tmp_path / name, np.ones((4, 5)), pixel_size_nm=0.2, aspect=0.25)
        found = read_micrograph(tmp_path / name)
        assert (found.pixel_size_nm, found.aspect) == (pytest.approx(0.2), pytest.approx(0.25))
        assert "0.1 nm high and 0.4 nm wide" in found.warnings[0]


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_movies_and_depth_stacks_of_imagej(tmp_path, axes, rng):
    movie = rng.integers(99, size=(6, 7, 8), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", movie, imagej=True, metadata={"axes": axes})
    found = read_micrograph(tmp_path / "movie.tif")
    np.testing.assert_array_equal(found.pixels, movie)


@pytest.mark.parametrize("axes", ["CYX", "TCYX", "TYXS"])
def test_other_axes_are_refused(tmp_path, axes):
    shape = {"CYX": (2, 7, 8), "TCYX": (3, 2, 7, 8), "TYXS": (4, 7, 8, 3)}[axes]
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(tmp_path / "x.ome.tif", np.ones(shape, np.uint8), metadata={"axes": axes}, photometric=photometric)
    with pytest.raises(GanDenoiseError, match="save one channel of it"):
        read_micrograph(tmp_path / "x.ome.tif")


class TestLazyMovies:
    def test_a_contiguous_movie_is_mapped(self, tmp_path, rng):
        movie = rng.random((6, 7, 8), dtype=np.float32)
        write_tiff(tmp_path / "movie.tif", movie)
        found = read_micrograph(tmp_path / "movie.tif", lazy=True)
        assert isinstance(found.pixels, np.memmap)
        np.testing.assert_array_equal(found.frame(4).pixels, movie[4])

    @pytest.mark.parametrize("ome", [False, True])
    def test_a_compressed_movie_is_read_frame_by_frame(self, tmp_path, ome, rng):
        movie = rng.integers(99, size=(6, 7, 8), dtype=np.uint16)
        path = tmp_path / ("movie.ome.tif" if ome else "movie.tif")
        tifffile.imwrite(path, movie, compression="zlib", photometric="minisblack", metadata={"axes": "TYX"})
        found = read_micrograph(path, lazy=True)
        assert isinstance(found.pixels, da.Array)
        assert found.pixels.chunksize == (1, 7, 8)
        np.testing.assert_array_equal(found.frame(-1).pixels, movie[-1])
        np.testing.assert_array_equal(np.asarray(found.pixels), movie)

    def test_a_movie_is_written_one_frame_at_a_time(self, tmp_path):
        alive = []

        def load(block_info=None):
            alive.append(block_info[None]["chunk-location"][0])
            return np.full((1, 16, 16), alive[-1], np.uint16)

        movie = da.map_blocks(load, chunks=((1,) * 5, (16,), (16,)), dtype=np.uint16, meta=np.empty((0, 0, 0), "u2"))
        write_tiff(tmp_path / "movie.tif", movie)
        assert alive == [0, 1, 2, 3, 4]
        assert read_micrograph(tmp_path / "movie.tif").pixels[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


HISTORY = {"model": "hrtem", "seed": 3, "noise": {"gain": 2.3}, "path": Path("σ/µ")}


class TestProvenance:
    def test_imagej_shows_it(self, tmp_path):
        write_tiff(tmp_path / "x.tif", np.ones((4, 5)), provenance=HISTORY, pixel_size_nm=0.02)
        with tifffile.TiffFile(tmp_path / "x.tif") as tif:
            assert tif.imagej_metadata["unit"] == "nm"
            stored = json.loads(tif.imagej_metadata["Info"])
        assert stored == {**HISTORY, "path": "σ/µ"}

    def test_ome_describes_it(self, tmp_path):
        write_tiff(tmp_path / "x.ome.tif", np.ones((4, 5)), provenance=HISTORY)
        with tifffile.TiffFile(tmp_path / "x.ome.tif") as tif:
            description = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Description"]
        assert json.loads(description) == {**HISTORY, "path": "σ/µ"}


class TestDamage:
    """Files that are not what they claim to be: one sentence, never a crash or silent zeros."""

    @pytest.fixture
    def intact(self, tmp_path, rng):
        path = tmp_path / "intact.tif"
        tifffile.imwrite(path, rng.integers(999, size=(4, 64, 64), dtype=np.uint16), photometric="minisblack")
        return path.read_bytes()

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("keep", [0.999, 0.9, 0.5, 0.1])
    @pytest.mark.parametrize("lazy", [False, True])
    def test_truncated(self, tmp_path, rng, compression, keep, lazy):
        path = tmp_path / "whole.tif"
        pixels = rng.integers(999, size=(4, 64, 64), dtype=np.uint16)
        tifffile.imwrite(path, pixels, compression=compression, photometric="minisblack", metadata=None)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        with pytest.raises(GanDenoiseError, match=r"is incomplete|cannot be read"):
            read_micrograph(path, lazy=lazy)

    def test_truncated_after_writing(self, tmp_path, rng):
        write_tiff(tmp_path / "x.tif", rng.random((5, 64, 64)))
        content = (tmp_path / "x.tif").read_bytes()
        (tmp_path / "x.tif").write_bytes(content[: len(content) // 2])
        with pytest.raises(GanDenoiseError, match=r"is incomplete|cannot be read"):
            read_micrograph(tmp_path / "x.tif")

    @pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"no TIFF at all", bytes(4096)])
    def test_no_tiff(self, tmp_path, content):
        (tmp_path / "x.tif").write_bytes(content)
        with pytest.raises(GanDenoiseError, match="cannot be read"):
            read_micrograph(tmp_path / "x.tif")

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_a_header_that_claims_terabytes(self, tmp_path, compression):
        path = tmp_path / "bomb.tif"
        tifffile.imwrite(path, np.ones((64, 64), np.uint16), compression=compression, metadata=None)
        with tifffile.TiffFile(path, mode="r+") as tif:
            for tag in ("ImageWidth", "ImageLength"):
                tif.pages[0].tags[tag].overwrite(2_000_000, dtype="I")
        with pytest.raises(GanDenoiseError):
            read_micrograph(path)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=12))
    def test_any_change_of_the_header_is_an_image_or_an_error(self, tmp_path, intact, flips):
        content = bytearray(intact)
        for position, value in flips:
            content[position] = value
        (tmp_path / "changed.tif").write_bytes(content)
        with contextlib.suppress(GanDenoiseError):
            assert read_micrograph(tmp_path / "changed.tif").pixels.size > 0

    def test_an_ome_file_that_misses_its_parts(self, tmp_path):
        whole = tmp_path / "x.ome.tif"
        tifffile.imwrite(whole, np.ones((3, 8, 8), np.uint8), metadata={"axes": "TYX"}, photometric="minisblack")
        content = whole.read_bytes()
        whole.write_bytes(content.replace(b'SizeT="3"', b'SizeT="9"'))
        with pytest.raises(GanDenoiseError):
            read_micrograph(whole)

    def test_pixels_that_are_no_intensities(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", np.ones((8, 8), np.complex64))
        with pytest.raises(GanDenoiseError, match="complex64"):
            read_micrograph(tmp_path / "x.tif")


class TestWriting:
    def test_an_existing_file_is_kept_unless_told(self, tmp_path):
        path = tmp_path / "x.tif"
        write_tiff(path, np.zeros((4, 5)))
        with pytest.raises(GanDenoiseError, match="exists already"):
            write_tiff(path, np.ones((4, 5)))
        assert read_micrograph(path).pixels.max() == 0
        write_tiff(path, np.ones((4, 5)), overwrite=True)
        assert read_micrograph(path).pixels.max() == 1

    @pytest.mark.parametrize(("shape", "axes"), [((5,), None), ((2, 3, 4, 5), None), ((4, 5), "TYX"), ((4, 5), "XY")])
    def test_axes_must_fit(self, tmp_path, shape, axes):
        with pytest.raises(GanDenoiseError, match="cannot be written"):
            write_tiff(tmp_path / "x.tif", np.zeros(shape), axes=axes)

    def test_the_folder_must_exist(self, tmp_path):
        with pytest.raises(GanDenoiseError, match="does not exist"):
            write_tiff(tmp_path / "nowhere" / "x.tif", np.zeros((4, 5)))

    @pytest.mark.parametrize("shape", [(600, 600), (30, 120, 120)])
    def test_a_full_disk_leaves_no_partial_file(self, tmp_path, shape, little_room):
        path = tmp_path / "x.tif"
        write_tiff(path, np.zeros((4, 5)))
        before = path.read_bytes()
        with little_room(200_000), pytest.raises(GanDenoiseError, match="could not be written"):
            write_tiff(path, np.ones(shape), overwrite=True)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_a_failing_source_leaves_no_partial_file(self, tmp_path):
        def fail(block):
            raise ZeroDivisionError

        movie = da.map_blocks(fail, da.zeros((3, 8, 8), chunks=(1, 8, 8)), dtype=float, meta=np.empty((0, 0, 0)))
        with pytest.raises(ZeroDivisionError):
            write_tiff(tmp_path / "x.tif", movie)
        assert not list(tmp_path.iterdir())


class TestOtherFiles:
    @pytest.mark.parametrize(("shape", "rgb"), [((9, 8), False), ((9, 8, 3), True), ((9, 8, 4), True)])
    def test_png(self, tmp_path, shape, rgb, rng):
        pixels = rng.integers(255, size=shape, dtype=np.uint8)
        imageio.imwrite(tmp_path / "x.png", pixels)
        found = read_micrograph(tmp_path / "x.png")
        np.testing.assert_array_equal(found.pixels, pixels)
        assert (found.rgb, found.pixel_size_nm, found.name) == (rgb, None, "x")

    def test_damaged_png(self, tmp_path, rng):
        imageio.imwrite(tmp_path / "x.png", rng.integers(255, size=(99, 99), dtype=np.uint8))
        content = (tmp_path / "x.png").read_bytes()
        (tmp_path / "x.png").write_bytes(content[:2000])
        with pytest.raises(GanDenoiseError, match="cannot be read"):
            read_micrograph(tmp_path / "x.png")

    def test_unknown_types_and_missing_files(self, tmp_path):
        (tmp_path / "x.docx").write_bytes(b"?")
        with pytest.raises(GanDenoiseError, match="unknown type"):
            read_micrograph(tmp_path / "x.docx")
        with pytest.raises(GanDenoiseError, match="no file"):
            read_micrograph(tmp_path / "x.tif")
        with pytest.raises(GanDenoiseError, match="no file"):
            read_micrograph(tmp_path)
