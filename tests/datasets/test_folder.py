"""Folders of images, in every type that cameras and photographs come in."""

from __future__ import annotations

import logging

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from napari_gandenoise.datasets.folder import FolderImages, read_levels
from napari_gandenoise.datasets.sources import open_source, prepare_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.data import FolderData

ALL = slice(None), slice(None)
RED, GREEN, BLUE = (0.2125, 0.7154, 0.0721)  # luminance of ITU-R BT.709


@pytest.fixture
def photograph(rng):
    return rng.integers(0, 256, (20, 30, 3), np.uint8)


def only(folder, colour=False, **options):
    """Read the one image of a folder."""
    images = FolderImages(folder, colour, **options)
    assert len(images) == 1
    pixels = images.read(0, *ALL)
    assert pixels.dtype == np.float32
    assert pixels.shape == (images.channels, *images.shape(0))
    return pixels


def test_colour_and_luminance(tmp_path, photograph):
    imageio.imwrite(tmp_path / "photograph.png", photograph)
    expected = np.moveaxis(photograph, -1, 0) / 255
    np.testing.assert_allclose(only(tmp_path, colour=True), expected, atol=1e-6)
    luminance = RED * expected[0] + GREEN * expected[1] + BLUE * expected[2]
    np.testing.assert_allclose(only(tmp_path)[0], luminance, atol=1e-5)


def test_a_grey_image_is_alike_in_all_colours(tmp_path, photograph):
    imageio.imwrite(tmp_path / "grey.png", photograph[..., 0])
    np.testing.assert_allclose(only(tmp_path, colour=True), np.stack([photograph[..., 0] / 255] * 3), atol=1e-6)


def test_part_of_an_image_is_what_it_is_within_the_whole(tmp_path, photograph):
    imageio.imwrite(tmp_path / "photograph.png", photograph)
    images = FolderImages(tmp_path, True)
    part = images.read(0, slice(3, 8), slice(10, 30))
    np.testing.assert_array_equal(part, images.read(0, *ALL)[:, 3:8, 10:30])


@pytest.mark.parametrize("samples", [2, 4])
def test_transparency_is_dropped_with_a_word(tmp_path, rng, caplog, samples):
    pixels = rng.integers(0, 256, (20, 30, samples), np.uint8)
    Image.fromarray(pixels, {2: "LA", 4: "RGBA"}[samples]).save(tmp_path / "glass.png")
    with caplog.at_level(logging.INFO):
        seen = only(tmp_path, colour=samples == 4)
    np.testing.assert_allclose(seen, np.moveaxis(pixels[..., : samples - 1], -1, 0) / 255, atol=1e-6)
    assert "transparency" in caplog.text
    notes = [event.note for event in prepare_steps(FolderData(path=tmp_path)) if event.note]
    assert len(notes) == 1
    assert "transparency" in notes[0]


def test_palettes_become_colours(tmp_path, photograph):
    Image.fromarray(photograph).quantize(16).save(tmp_path / "palette.png")
    expected = np.asarray(Image.open(tmp_path / "palette.png").convert("RGB"))
    np.testing.assert_allclose(only(tmp_path, colour=True), np.moveaxis(expected, -1, 0) / 255, atol=1e-6)
    (tmp_path / "palette.png").unlink()
    table = np.zeros((3, 256), np.uint16)
    table[0, 7], table[2, 9] = 65535, 65535
    tifffile.imwrite(tmp_path / "palette.tif", np.array([[7, 9]] * 4, np.uint8), photometric="palette", colormap=table)
    np.testing.assert_allclose(only(tmp_path, colour=True)[:, 0], [[1, 0], [0, 0], [0, 1]])


def test_other_kinds_of_pixels(tmp_path, photograph):
    grey = photograph[..., 0]
    cases = {
        "sixteen.png": (Image.fromarray(grey.astype(np.uint16) * 257), grey / 255, 1e-5),
        "bits.png": (Image.fromarray(grey > 128), (grey > 128).astype(float), 0),
        "smooth.jpg": (Image.fromarray(np.full((16, 16), 128, np.uint8)), np.full((16, 16), 128 / 255), 0.01),
        "print.jpg": (
            Image.fromarray(np.full((16, 16, 3), 128, np.uint8)).convert("CMYK"),
            np.full((16, 16), 0.5),
            0.02,
        ),
    }
    for name, (image, expected, tolerance) in cases.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        image.save(folder / name)
        np.testing.assert_allclose(only(folder)[0], expected, atol=tolerance + 1e-6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    dtype=st.sampled_from(["u1", "u2", "i2", "i4", "f2", "f4", "f8", ">u2", ">f4"]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    colour=st.booleans(),
    compression=st.sampled_from([None, "zlib"]),
)
def test_every_frame_of_a_tiff_of_any_type_lies_between_black_and_white(
    tmp_path_factory, data, dtype, shape, colour, compression
):
    kind = np.dtype(dtype)
    values = st.floats(-8, 8, width=16) if kind.kind == "f" else st.integers(0, 120)
    pixels = data.draw(arrays.arrays(kind, (*shape, 3) if colour else shape, elements=values))
    folder = tmp_path_factory.mktemp("stack")
    tifffile.imwrite(
        folder / "stack.tif",
        pixels,
        photometric="rgb" if colour else "minisblack",
        metadata={"axes": "TYXS" if colour else "TYX"},
        compression=compression,
        byteorder=">" if kind.byteorder == ">" else "<",
    )
    images = FolderImages(folder, colour)
    assert len(images) == shape[0]
    for number, frame in enumerate(pixels.astype(float)):
        assert images.shape(number) == shape[1:]
        read = images.read(number, *ALL)
        zero, one = min(frame.min(), 0), frame.max()
        if dtype == "u1":
            zero, one = 0, 255
        elif kind.kind == "u":
            zero, one = 0, 65535
        elif kind.kind == "f" and zero == 0 and one <= 1:
            one = 1
        expected = (frame - zero) / max(one - zero, 1e-6)
        np.testing.assert_allclose(read, np.moveaxis(expected, -1, 0) if colour else expected[None], atol=2e-3)
        assert 0 <= read.min() <= read.max() <= 1


def test_planar_colours(tmp_path, photograph):
    planes = np.moveaxis(photograph, -1, 0)
    tifffile.imwrite(tmp_path / "planar.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_allclose(only(tmp_path, colour=True), planes / 255, atol=1e-6)


def test_white_may_be_zero(tmp_path):
    tifffile.imwrite(tmp_path / "fax.tif", np.array([[0, 255]] * 3, np.uint8), photometric="miniswhite")
    np.testing.assert_allclose(only(tmp_path)[0, 0], [1, 0])


def test_micrographs_are_relative_to_their_mean(tmp_path, rng):
    counts = rng.poisson(40, (30, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "micrograph.tif", counts)
    np.testing.assert_allclose(only(tmp_path, pixel_size_nm=0.02)[0], counts / counts.mean(), rtol=1e-5)
    tifffile.imwrite(tmp_path / "micrograph.tif", np.zeros((30, 30), np.float32))
    with pytest.raises(GanDenoiseError, match="a mean of 0"):
        only(tmp_path, pixel_size_nm=0.02)


def test_subfolders_are_searched_and_other_files_left_alone(tmp_path):
    (tmp_path / "b").mkdir()
    for place, name in enumerate(("a.PNG", "b/c.jpg", "b/d.tiff", ".hidden.png", "notes.txt")):
        if not name.endswith("txt"):
            imageio.imwrite(
                tmp_path / name, np.full((8, 8 + place), 100, np.uint8), extension=f".{name.split('.')[-1].lower()}"
            )
        else:
            (tmp_path / name).write_text("mine")
    images = FolderImages(tmp_path, False)
    assert [images.shape(i) for i in range(len(images))] == [(8, 8), (8, 9), (8, 10)]


def test_a_source_travels_to_another_process(tmp_path, photograph, send):
    imageio.imwrite(tmp_path / "photograph.png", photograph)
    images = open_source(FolderData(path=tmp_path, colour=True))
    images.read(0, *ALL)
    arrived, size = send(images)
    assert size < photograph.size  # without pixels
    np.testing.assert_array_equal(arrived.read(0, *ALL), images.read(0, *ALL))


def test_headers_are_enough_to_open_a_folder(tmp_path, photograph):
    path = tmp_path / "photograph.png"
    imageio.imwrite(path, photograph)
    path.write_bytes(path.read_bytes()[:100])
    images = FolderImages(tmp_path, True)
    assert images.shape(0) == (20, 30)
    with pytest.raises(GanDenoiseError, match=r"photograph\.png cannot be read as an image"):
        images.read(0, *ALL)


@pytest.mark.parametrize("name", ["broken.png", "broken.jpg", "broken.tif"])
def test_a_file_that_is_no_image_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"II*\0 this is no image")
    with pytest.raises(GanDenoiseError, match=name.replace(".", r"\.") + " cannot be read as an image"):
        FolderImages(tmp_path, False)


def test_a_tiff_that_was_cut_off_is_named(tmp_path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, np.ones((40, 40), np.float32))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(GanDenoiseError, match=r"cut\.tif is incomplete"):
        FolderImages(tmp_path, False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_named(tmp_path, value):
    pixels = np.ones((8, 8), np.float32)
    pixels[3, 3] = value
    tifffile.imwrite(tmp_path / "hole.tif", pixels)
    with pytest.raises(GanDenoiseError, match=r"hole\.tif holds values that are not numbers"):
        read_levels(tmp_path / "hole.tif")


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (np.zeros((8, 8, 4), np.uint8), {"photometric": "separated"}),
        (np.zeros((8, 8, 6), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}),
    ],
)
def test_inks_and_spectra_are_no_colours(tmp_path, pixels, options):
    tifffile.imwrite(tmp_path / "inks.tif", pixels, **options)
    with pytest.raises(GanDenoiseError, match=r"inks\.tif is no grey or RGB image"):
        FolderImages(tmp_path, True)


def test_complex_values_make_no_image(tmp_path):
    tifffile.imwrite(tmp_path / "wave.tif", np.zeros((8, 8), np.complex64))
    with pytest.raises(GanDenoiseError, match="type complex64"):
        read_levels(tmp_path / "wave.tif")


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(GanDenoiseError, match="no PNG, JPEG or TIFF"):
        open_source(FolderData(path=tmp_path))
    with pytest.raises(GanDenoiseError, match="There is no folder"):
        open_source(FolderData(path=tmp_path / "nowhere"))
    imageio.imwrite(tmp_path / "small.png", np.zeros((8, 90), np.uint8))
    with pytest.raises(GanDenoiseError, match="smaller than 20×20"):
        FolderImages(tmp_path, False, least=20)
