"""Layers that napari's own reader opened: their pixel size is that of the file behind them."""

from __future__ import annotations

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source
from napari_builtins.io import napari_get_reader

from napari_gandenoise.denoising import as_micrograph
from napari_gandenoise.io import read_layer, write_tiff
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.widgets.viewer.source import found_pixel_size


def opened(path, **options):
    """Open a file as napari does by itself."""
    [(pixels, *_)] = napari_get_reader(str(path))(str(path))
    with layer_source(path=str(path), reader_plugin="napari"):
        return Image(pixels, **options)


@pytest.mark.parametrize("name", ["x.tif", "x.ome.tif"])
@pytest.mark.parametrize("shape", [(20, 30), (4, 20, 30)])
def test_the_pixel_size_is_that_of_the_file(tmp_path, name, shape, rng):
    write_tiff(tmp_path / name, rng.random(shape), pixel_size_nm=0.2, aspect=0.25)
    layer = opened(tmp_path / name)
    for found in (read_layer(layer), as_micrograph(layer, DenoiseConfig())):
        assert (found.pixel_size_nm, found.aspect) == (pytest.approx(0.2), pytest.approx(0.25))
    assert found_pixel_size(layer) == (pytest.approx(0.2), "from the file")
    assert as_micrograph(layer, DenoiseConfig(pixel_size_nm=0.3)).pixel_size_nm == 0.3


def test_a_size_that_the_user_gave_the_layer_goes_before(tmp_path, rng):
    write_tiff(tmp_path / "x.tif", rng.random((20, 30)), pixel_size_nm=0.2)
    layer = opened(tmp_path / "x.tif")
    layer.scale, layer.units = (0.5, 0.5), ("nm", "nm")
    assert read_layer(layer).pixel_size_nm == 0.5


def test_a_part_of_the_image_is_not_guessed_to_be_the_image(tmp_path, rng):
    write_tiff(tmp_path / "x.tif", rng.random((20, 30)), pixel_size_nm=0.2)
    layer = opened(tmp_path / "x.tif")
    layer.data = layer.data[::2, ::2]
    assert read_layer(layer).pixel_size_nm is None


def test_of_several_images_none_is_guessed(tmp_path, rng):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for side in (20, 30):
            file.write(
                rng.random((side, side)), photometric="minisblack", resolution=(1e8, 1e8), resolutionunit="CENTIMETER"
            )
    assert read_layer(opened(tmp_path / "x.tif")).pixel_size_nm is None


def test_a_file_that_is_gone_or_changed_is_no_error(tmp_path, rng):
    path = tmp_path / "x.tif"
    write_tiff(path, rng.random((20, 30)), pixel_size_nm=0.2)
    layer = opened(path)
    assert read_layer(layer).pixel_size_nm == pytest.approx(0.2)
    write_tiff(path, rng.random((20, 30)), pixel_size_nm=0.4, overwrite=True)
    assert read_layer(layer).pixel_size_nm == pytest.approx(0.4)
    path.write_bytes(b"II*\0 nothing")
    assert read_layer(layer).pixel_size_nm is None
    path.unlink()
    assert read_layer(layer).pixel_size_nm is None


def test_colours_that_napari_took_for_a_movie_are_colours(tmp_path, rng):
    write_tiff(tmp_path / "x.tif", rng.random((20, 30, 3)), axes="YXS", pixel_size_nm=250.0)
    found = read_layer(opened(tmp_path / "x.tif", rgb=False))
    assert found.rgb
    assert found.pixel_size_nm == 250
    assert not read_layer(Image(rng.random((20, 30, 3)), rgb=False)).rgb


def test_the_same_in_all_colours_is_grey_as_in_a_file(rng):
    grey = rng.random((20, 30))
    found = read_layer(Image(np.stack([grey] * 3, -1), rgb=True))
    assert not found.rgb
    np.testing.assert_array_equal(found.pixels, grey)


def test_the_same_in_all_colours_is_colours_for_a_model_of_colours(tmp_path, rng, write_photograph_model):
    grey = rng.integers(255, size=(40, 50), dtype=np.uint8)
    imageio.imwrite(tmp_path / "x.png", np.stack([grey] * 3, -1))
    model = write_photograph_model(tmp_path)
    for image in (tmp_path / "x.png", opened(tmp_path / "x.png")):
        found = as_micrograph(image, DenoiseConfig(model=str(model)))
        assert (found.rgb, found.pixels.shape, found.warnings) == (True, (40, 50, 3), ())
        assert not as_micrograph(image, DenoiseConfig()).rgb
