"""NumPy arrays, pictures and Zarr: what they hold, and damage that is found only when a frame is read."""

from __future__ import annotations

import pickle

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph


class TestNumpy:
    @pytest.mark.parametrize("lazy", [False, True])
    @pytest.mark.parametrize(
        ("shape", "kept"),
        [((20, 30), (20, 30)), ((5, 20, 30), (5, 20, 30)), ((20, 30, 1), (20, 30)), ((5, 1, 20, 30), (5, 20, 30))],
    )
    def test_images_and_movies(self, tmp_path, shape, kept, lazy, rng):
        pixels = rng.integers(999, size=shape, dtype=np.uint16)
        np.save(tmp_path / "x.npy", pixels)
        found = read_micrograph(tmp_path / "x.npy", lazy=lazy)
        np.testing.assert_array_equal(found.pixels, pixels.reshape(kept))
        assert isinstance(found.pixels, np.memmap) == (lazy and len(kept) == 3)
        assert (found.name, found.rgb, found.pixel_size_nm) == ("x", False, None)

    def test_three_channels_are_colours_but_not_three_columns_of_a_movie(self, tmp_path, rng):
        np.save(tmp_path / "x.npy", rng.random((20, 30, 3)))
        np.save(tmp_path / "y.npy", rng.random((20, 5, 3)))
        assert read_micrograph(tmp_path / "x.npy").rgb
        assert not read_micrograph(tmp_path / "y.npy").rgb

    @pytest.mark.parametrize("lazy", [False, True])
    def test_nothing_is_unpickled(self, tmp_path, lazy):
        class Trap:
            def __reduce__(self):
                return pytest.fail, ("it was unpickled",)

        np.save(tmp_path / "x.npy", np.array([[Trap()]], object), allow_pickle=True)
        (tmp_path / "y.npy").write_bytes(pickle.dumps(Trap()))
        for name in ("x.npy", "y.npy"):
            with pytest.raises(GanDenoiseError, match="cannot be read"):
                read_micrograph(tmp_path / name, lazy=lazy)

    @pytest.mark.parametrize("lazy", [False, True])
    def test_what_declares_more_than_it_holds(self, tmp_path, lazy):
        path = tmp_path / "x.npy"
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
            )
        with pytest.raises(GanDenoiseError, match="cannot be read"):
            read_micrograph(path, lazy=lazy)

    def test_columns_first(self, tmp_path, rng):
        pixels = np.asfortranarray(rng.random((20, 30)))
        np.save(tmp_path / "x.npy", pixels)
        np.testing.assert_array_equal(read_micrograph(tmp_path / "x.npy").pixels, pixels)


class TestPictures:
    @pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
    def test_bmp(self, tmp_path, shape, rng):
        pixels = rng.integers(255, size=shape, dtype=np.uint8)
        imageio.imwrite(tmp_path / "x.bmp", pixels)
        found = read_micrograph(tmp_path / "x.bmp")
        np.testing.assert_array_equal(found.pixels, pixels)
        assert found.rgb == (len(shape) == 3)

    def test_grey_in_other_clothes(self, tmp_path, rng):
        grey = rng.integers(255, size=(20, 30), dtype=np.uint8)
        imageio.imwrite(tmp_path / "rgba.png", np.stack([grey, grey, grey, np.full_like(grey, 255)], -1))
        imageio.imwrite(tmp_path / "alpha.png", np.stack([grey, np.full_like(grey, 255)], -1), mode="LA")
        imageio.imwrite(tmp_path / "bits.png", grey > 100)
        for name in ("rgba.png", "alpha.png"):
            np.testing.assert_array_equal(read_micrograph(tmp_path / name).pixels, grey)
        np.testing.assert_array_equal(read_micrograph(tmp_path / "bits.png").pixels > 0, grey > 100)

    def test_inks_are_refused_by_name(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        image.new("CMYK", (30, 20)).save(tmp_path / "x.jpg")
        with pytest.raises(GanDenoiseError, match="CMYK"):
            read_micrograph(tmp_path / "x.jpg")


def omezarr(path, version, whole, level, axes="yx", unit="nanometer", **options):
    """Write an image with steps for all levels and for one."""

    def steps(scale):
        return {} if scale is None else {"coordinateTransformations": [{"type": "scale", "scale": scale}]}

    named = axes if version == "0.3" else [{"name": axis, "type": "space", "unit": unit} for axis in axes]
    image = {"version": version, "axes": list(named), "datasets": [{"path": "0", **steps(level)}], **steps(whole)}
    about = {"ome": {"version": version, "multiscales": [image]}} if version == "0.5" else {"multiscales": [image]}
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2, attributes=about)
    data = np.arange(np.prod([4, 5][-len(axes) :] if len(axes) == 2 else [3, 4, 5]), dtype=np.uint16)
    return group.create_array("0", data=data.reshape((4, 5) if len(axes) == 2 else (3, 4, 5)), **options)


class TestZarr:
    @pytest.mark.parametrize("version", ["0.3", "0.4", "0.5"])
    @pytest.mark.parametrize(
        ("whole", "level", "nm"),
        [(None, [0.2, 0.2], 0.2), ([0.2, 0.2], None, 0.2), ([0.1, 0.1], [2, 2], 0.2), (None, None, 1)],
    )
    def test_steps_at_both_levels_multiply(self, tmp_path, version, whole, level, nm):
        omezarr(tmp_path / "x.zarr", version, whole, level)
        found = read_micrograph(tmp_path / "x.zarr")
        # Names alone have no unit, and steps without one measure nothing.
        assert found.pixel_size_nm == (None if version == "0.3" else pytest.approx(nm))
        assert found.pixels[1, 0] == 5

    def test_oblong_pixels_keep_both_sides(self, tmp_path):
        omezarr(tmp_path / "x.zarr", "0.5", None, [0.1, 0.4])
        found = read_micrograph(tmp_path / "x.zarr")
        assert (found.pixel_size_nm, found.aspect) == (pytest.approx(0.2), pytest.approx(0.25))

    def test_a_damaged_chunk_is_a_sentence_when_its_frame_is_read(self, tmp_path):
        path = tmp_path / "x.zarr"
        omezarr(path, "0.5", None, None, "zyx", chunks=(1, 4, 5))
        (path / "0" / "c" / "1" / "0" / "0").write_bytes(b"no chunk")
        found = read_micrograph(path, lazy=True)
        assert found.frame(2).pixels[0, 0] == 40
        with pytest.raises(GanDenoiseError, match=r"x\.zarr cannot be read, it is damaged"):
            found.frame(1)
        with pytest.raises(GanDenoiseError, match=r"x\.zarr cannot be read, it is damaged"):
            read_micrograph(path)


def test_a_damaged_page_is_a_sentence_when_its_frame_is_read(tmp_path, rng):
    path, movie = tmp_path / "x.tif", rng.integers(999, size=(3, 40, 40), dtype=np.uint16)
    tifffile.imwrite(path, movie, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[1].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    found = read_micrograph(path, lazy=True)
    np.testing.assert_array_equal(found.frame(2).pixels, movie[2])
    with pytest.raises(GanDenoiseError, match=r"x\.tif cannot be read, it is damaged"):
        found.frame(1)
