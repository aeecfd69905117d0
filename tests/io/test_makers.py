"""Pixel sizes in the tags of makers, and what stored values mean: small files with the tags that real ones have."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_images, read_micrograph

NM = 0.0244
PIXELS = np.arange(16 * 12, dtype=np.uint16).reshape(12, 16)


def text(code: int, content: str) -> tuple[int, int, int, str, bool]:
    return code, 2, 0, content, True


def number(code: int, value: float) -> tuple[int, int, int, float, bool]:
    return code, 12, 1, value, True


def zeiss(stated: str = "") -> str:
    """Numbers without names first, the fourth the size in metres for a display of 1024 pixels, then pairs of lines."""
    unnamed = ["0", "0", "0", f"{NM * 1e-9 * 16 / 1024:.9g}", "4528.9"]
    return (
        "\r\n".join([*unnamed, *(["AP_IMAGE_PIXEL_SIZE", f"Image Pixel Size = {stated}"] if stated else [])]) + "\r\n"
    )


def sis() -> bytes:
    """Write a header, then one entry that sends to the general data: exponent of ten, sizes along x and y."""
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 42, 19, 15, 10, 118, b"", 1)
    data = struct.pack("<10xhdd8xd2x34s32s", -9, NM, NM, 6e5, b"", b"")
    return head + b"%OFFSET%" + data


def jeol(mode: str) -> str:
    lenses = f"<ModeString>{mode}</ModeString><SelectorValue>100000</SelectorValue>"
    return (
        "<?xml version='1.0'?><TemReporter><Eos><EosMode>eosTEM</EosMode></Eos>"
        f"<ImageFormingSystem>{lenses}</ImageFormingSystem></TemReporter>"
    )


TAGS = {
    "FEI, scanning": [text(34682, f"[Scan]\r\nPixelWidth={NM * 1e-9}\r\nPixelHeight={NM * 1e-9}\r\n")],
    "FEI, S-FEG": [text(34680, f"[EScan]\r\nPixelWidth={NM * 1e-9}\r\nPixelHeight={NM * 1e-9}\r\n")],
    "FEI, camera": [
        text(
            34682,
            f"[Beam]\r\nBeam=IRBeam\r\n[IRBeam]\r\nHFW={16 * NM * 1e-9}\r\nVFW={12 * NM * 1e-9}\r\n"
            "[Image]\r\nResolutionX=16\r\nResolutionY=12\r\n",
        )
    ],
    "Zeiss": [text(34118, zeiss())],
    "Zeiss, rounded": [text(34118, zeiss("24.4 pm"))],
    "Zeiss, old": [text(34118, "AP_PIXEL_SIZE\r\nPixel Size = 24.4 pm\r\n")],
    "Digital Micrograph": [text(65003, "nm"), text(65004, "nm"), number(65009, NM), number(65010, NM)],
}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_the_pixel_size_of_a_maker_is_read(tmp_path, tags):
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, extratags=tags, resolution=(72, 72), resolutionunit="INCH")
    assert read_micrograph(tmp_path / "x.tif").pixel_size_nm == pytest.approx(NM, rel=1e-4)


def test_a_zeiss_image_that_was_cut_has_the_size_that_is_stated(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", PIXELS[:, :8], extratags=[text(34118, zeiss("24.4 pm"))])
    assert read_micrograph(tmp_path / "x.tif").pixel_size_nm == pytest.approx(NM)


def test_the_two_sides_of_digital_micrograph_are_x_and_y(tmp_path):
    tags = [text(65003, "nm"), text(65004, "pm"), number(65009, 0.4), number(65010, 100.0)]
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, extratags=tags)
    found = read_micrograph(tmp_path / "x.tif")
    assert (found.pixel_size_nm, found.aspect) == (pytest.approx(0.2), pytest.approx(0.25))


def test_olympus_after_a_preview_in_colours(tmp_path, rng):
    """As its cameras write it: the preview is as large as the image, which alone is measured."""
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(rng.integers(255, size=(12, 16, 3), dtype=np.uint8), photometric="rgb")
        file.write(PIXELS, photometric="minisblack", extratags=[(33560, 7, len(sis()), sis(), True)])
    content = bytearray(path.read_bytes())
    place = content.index(b"%OFFSET%")
    content[place : place + 8] = struct.pack("<hhI", 1, 1, place + 8)
    path.write_bytes(content)
    found = read_micrograph(path)
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert found.pixel_size_nm == pytest.approx(NM)
    assert [image.name for image in read_images(path)] == ["x-1", "x-2"]


def test_tvips(tmp_path):
    path = tmp_path / "x.tif"
    first, second = (np.zeros((), fields) for fields in (tifffile.TIFF.TVIPS_HEADER_V1, tifffile.TIFF.TVIPS_HEADER_V2))
    first["Version"], second["Magic"], second["PixelSizeX"], second["PixelSizeY"] = 2, 0xAAAAAAAA, NM, NM
    # The tag holds one number, where the header lies in the file.
    tifffile.imwrite(path, PIXELS, extratags=[(37706, 4, 1, 77, True)], metadata=None)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<HHI", 37706, 4, 1)) + 8
    content[place : place + 4] = struct.pack("<I", len(content))
    path.write_bytes(bytes(content) + first.tobytes() + second.tobytes())
    assert read_micrograph(path).pixel_size_nm == pytest.approx(NM)


@pytest.mark.parametrize(("mode", "nm"), [("MAG", 1e7 / 1e5 / 100), ("DIFF", None)])
def test_jeol_divides_by_the_magnification_but_not_in_diffraction(tmp_path, mode, nm):
    options = {"resolution": (100, 100), "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, description=jeol(mode), extratags=[text(271, "JEOL Ltd.")], **options)
    assert read_micrograph(tmp_path / "x.tif").pixel_size_nm == (None if nm is None else pytest.approx(nm))


@pytest.mark.parametrize(("unit", "per_unit"), [("inch", 72), ("cm", 28.35), ("nm", 1e-17), ("nm", 1e9)])
def test_printers_and_broken_numbers_measure_nothing(tmp_path, unit, per_unit):
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert read_micrograph(tmp_path / "x.tif").pixel_size_nm is None


class TestMeaning:
    """More is brighter, whatever is stored."""

    @pytest.mark.parametrize("frames", [1, 3])
    @pytest.mark.parametrize("lazy", [False, True])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_white_that_is_zero_is_turned(self, tmp_path, frames, lazy, compression, rng):
        pixels = np.squeeze(rng.integers(2**16, size=(frames, 12, 16), dtype=np.uint16))
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="miniswhite", compression=compression)
        found = read_micrograph(tmp_path / "x.tif", lazy=lazy)
        np.testing.assert_array_equal(np.asarray(found.pixels), 65535 - pixels)
        assert "inverted" in found.warnings[0]

    def test_white_that_is_zero_of_no_integers_is_left(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", PIXELS.astype(np.float32), photometric="miniswhite")
        found = read_micrograph(tmp_path / "x.tif")
        np.testing.assert_array_equal(found.pixels, PIXELS)
        assert "taken as they are" in found.warnings[0]

    @pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
    def test_one_bit_is_grey(self, tmp_path, photometric, rng):
        bits = rng.random((16, 16)) > 0.5
        tifffile.imwrite(tmp_path / "x.tif", bits, photometric=photometric)
        found = read_micrograph(tmp_path / "x.tif")
        np.testing.assert_array_equal(found.pixels, bits if photometric == "minisblack" else ~bits)
        assert found.pixels.dtype == np.uint8

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_transparency_of_grey_is_left_out(self, tmp_path, planar):
        both = np.stack([PIXELS, PIXELS[::-1]], -1 if planar == "contig" else 0)
        tifffile.imwrite(
            tmp_path / "x.tif", both, photometric="minisblack", planarconfig=planar, extrasamples=["unassalpha"]
        )
        np.testing.assert_array_equal(read_micrograph(tmp_path / "x.tif").pixels, PIXELS)

    def test_colours_that_are_the_same_are_grey(self, tmp_path):
        tifffile.imwrite(tmp_path / "x.tif", np.stack([PIXELS] * 3, -1), photometric="rgb")
        found = read_micrograph(tmp_path / "x.tif")
        np.testing.assert_array_equal(found.pixels, PIXELS)
        assert not found.rgb
        assert "taken as grey" in found.warnings[0]

    def test_a_palette_of_grey_with_colours_for_overlays_is_grey(self, tmp_path):
        ramp = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
        ramp[:, 9::9] = [[65535], [0], [0]]
        pixels = PIXELS.astype(np.uint8)
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="palette", colormap=ramp)
        np.testing.assert_array_equal(read_micrograph(tmp_path / "x.tif").pixels, pixels)

    def test_a_palette_from_white_to_black_is_applied(self, tmp_path):
        ramp = np.stack([np.arange(256, dtype=np.uint16)[::-1] * 257] * 3)
        pixels = PIXELS.astype(np.uint8)
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="palette", colormap=ramp)
        np.testing.assert_array_equal(
            read_micrograph(tmp_path / "x.tif").pixels, (255 - pixels).astype(np.uint16) * 257
        )

    def test_a_palette_of_colours_makes_colours(self, tmp_path, rng):
        palette = rng.integers(2**16, size=(3, 256), dtype=np.uint16)
        pixels = PIXELS.astype(np.uint8)
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="palette", colormap=palette)
        found = read_micrograph(tmp_path / "x.tif")
        assert found.rgb
        np.testing.assert_array_equal(found.pixels, np.moveaxis(palette[:, pixels] >> 8, 0, -1))

    @pytest.mark.parametrize(("photometric", "named"), [("separated", "CMYK"), ("cielab", "CIE")])
    def test_other_colours_are_refused_by_name(self, tmp_path, photometric, named):
        samples = 4 if photometric == "separated" else 3
        tifffile.imwrite(tmp_path / "x.tif", np.ones((12, 16, samples), np.uint8), photometric=photometric)
        with pytest.raises(GanDenoiseError, match=named):
            read_micrograph(tmp_path / "x.tif")


def test_the_image_is_read_and_not_its_thumbnail(tmp_path, rng):
    large = rng.integers(999, size=(40, 50), dtype=np.uint16)
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(rng.integers(255, size=(12, 16, 3), dtype=np.uint8), photometric="rgb")
        file.write(large, photometric="minisblack", resolution=(1e7 / NM, 1e7 / NM), resolutionunit="CENTIMETER")
    found = read_micrograph(tmp_path / "x.tif")
    np.testing.assert_array_equal(found.pixels, large)
    assert found.pixel_size_nm == pytest.approx(NM)
    assert [(image.name, image.rgb) for image in read_images(tmp_path / "x.tif")] == [("x-1", True), ("x-2", False)]
