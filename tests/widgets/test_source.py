"""Cutting a region out of a layer, and putting results back in its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets.viewer.source import cut, found_pixel_size, whole

NM = ("nm", "nm")


@pytest.fixture
def pixels(rng):
    return rng.poisson(0.5, (40, 60))


@pytest.fixture
def model():
    return ViewerModel()


def test_whole_layer(model, pixels):
    layer = model.add_image(pixels, scale=(0.0061, 0.0061), units=NM)
    source = cut(model, layer, "whole", current_frame=False)
    assert source.is_whole
    assert source.micrograph.pixel_size_nm == pytest.approx(0.0061)
    np.testing.assert_array_equal(source.micrograph.pixels, pixels)


def test_rectangle_selects_the_pixels_it_covers(model, pixels):
    layer = model.add_image(pixels, scale=(2, 2), translate=(100, 200))
    # Rows 5 to 9 and columns 10 to 29: a pixel reaches half a pixel around its centre.
    corners = np.array([[4.5, 9.5], [4.5, 29.5], [9.5, 29.5], [9.5, 9.5]])
    model.add_shapes([corners * 2 + [100, 200]], shape_type="rectangle")
    source = cut(model, layer, "rectangle", current_frame=False)
    assert not source.is_whole
    np.testing.assert_array_equal(source.micrograph.pixels, pixels[5:10, 10:30])


def test_selected_rectangle_goes_before_the_last_one(model, pixels):
    layer = model.add_image(pixels)
    boxes = [np.array([[0, 0], [0, 9], [9, 9], [9, 0]]) + shift - 0.5 for shift in (0, 10)]
    shapes = model.add_shapes(boxes, shape_type="rectangle")
    assert cut(model, layer, "rectangle", current_frame=False).box[0].start == 10
    shapes.selected_data = {0}
    assert cut(model, layer, "rectangle", current_frame=False).box[0].start == 0


def test_rectangle_is_cut_at_the_image_border(model, pixels):
    layer = model.add_image(pixels)
    model.add_shapes([np.array([[-10, -10], [-10, 5], [5, 5], [5, -10]]) - 0.5], shape_type="rectangle")
    np.testing.assert_array_equal(cut(model, layer, "rectangle", current_frame=False).micrograph.pixels, pixels[:5, :5])


def test_missing_and_misplaced_rectangles_are_explained(model, pixels):
    layer = model.add_image(pixels)
    with pytest.raises(GanDenoiseError, match="no rectangle"):
        cut(model, layer, "rectangle", current_frame=False)
    model.add_shapes([np.array([[900, 900], [900, 950], [950, 950], [950, 900]])], shape_type="rectangle")
    with pytest.raises(GanDenoiseError, match="no pixel of the image"):
        cut(model, layer, "rectangle", current_frame=False)


def test_rectangle_works_on_the_current_frame_of_a_movie(model, rng):
    movie = rng.poisson(0.5, (7, 40, 60))
    layer = model.add_image(movie, scale=(1, 0.5, 0.5))
    model.add_shapes([np.array([[5, 10], [5, 20], [15, 20], [15, 10]]) * 0.5 - 0.25], shape_type="rectangle")
    model.dims.set_point(0, 4)
    source = cut(model, layer, "rectangle", current_frame=True)
    np.testing.assert_array_equal(source.micrograph.pixels, movie[4, 5:15, 10:20])
    all_frames = cut(model, layer, "rectangle", current_frame=False)
    np.testing.assert_array_equal(all_frames.micrograph.pixels, movie[:, 5:15, 10:20])


@pytest.mark.parametrize("frames", [(), (5,)])
def test_result_lies_where_its_pixels_came_from(model, rng, frames):
    transform = {
        "scale": (3.0,) * len(frames) + (0.5, 0.5),
        "translate": (9.0,) * len(frames) + (-4.0, 7.0),
        "affine": np.diag([1.0] * len(frames) + [1.5, 0.8, 1.0]),
        "units": ("pixel",) * len(frames) + NM,
    }
    layer = model.add_image(rng.poisson(0.5, (*frames, 40, 60)), **transform)
    if not frames:
        layer.rotate = 30
        layer.shear = [0.2]
    model.add_shapes([np.array([[5, 10], [5, 20], [15, 20], [15, 10]])], shape_type="rectangle")
    # The rectangle is in world coordinates, so ask the layer which pixels it is over.
    source = cut(model, layer, "whole", current_frame=bool(frames))
    box = (*source.box[:-2], slice(5, 15), slice(10, 20))
    part = type(source)(source.micrograph, layer, box, source.single_frame)
    data = source.micrograph.pixels[5:15, 10:20]
    result = Layer.create(*part.place((data, {"name": "result"}, "image")))
    assert result.units == layer.units
    for pixel in [(0, 0), (3, 7)]:
        there = (0,) * len(frames) + pixel
        origin = (*(box[0].start for _ in frames), pixel[0] + 5, pixel[1] + 10)
        np.testing.assert_allclose(result.data_to_world(there), layer.data_to_world(origin), atol=1e-12)
        assert result.data[there] == layer.data[origin]


@pytest.mark.parametrize("frames", [(), (5,)])
def test_several_images_of_a_part_lie_on_it_one_after_the_other(model, rng, frames):
    transform = {"scale": (3.0,) * len(frames) + (0.5, 0.5), "units": ("pixel",) * len(frames) + NM}
    transform["affine"] = np.diag([1.0] * len(frames) + [1.5, 0.8, 1.0])
    layer = model.add_image(rng.poisson(0.5, (*frames, 40, 60)), **transform)
    if not frames:
        layer.rotate = 30
    source = cut(model, layer, "whole", current_frame=bool(frames))
    several = np.stack([source.micrograph.pixels] * 4)
    result = model.add_layer(Layer.create(*source.place_several((several, {"name": "samples"}, "image"))))
    assert result.ndim == layer.ndim + 1
    assert result.units == ("pixel", *layer.units)
    there = (0,) * len(frames) + (3, 7)
    origin = (*(box.start for box in source.box[:-2]), 3, 7)
    for number in range(4):
        np.testing.assert_allclose(result.data_to_world((number, *there)), (number, *layer.data_to_world(origin)))
    assert model.dims.ndim == result.ndim


def test_pixels_that_are_not_square_have_a_mean_size_and_results_keep_both_sides(model, pixels):
    layer = model.add_image(pixels, scale=(0.01, 0.04), units=NM)
    assert found_pixel_size(layer) == (pytest.approx(0.02), "from the layer")
    source = cut(model, layer, "whole", current_frame=False)
    assert "0.01 nm high and 0.04 nm wide" in source.micrograph.warnings[0]
    _, options, _ = source.place((pixels, {"name": "result"}, "image"))
    np.testing.assert_allclose(options["scale"], (0.01, 0.04))


@pytest.mark.parametrize(
    ("shape", "scale"), [((5, 1, 40, 60), (1, 1, 2, 3)), ((40, 60, 1), (2, 3, 1)), ((5, 40, 60, 1), (1, 2, 3, 1))]
)
def test_axes_of_length_one_are_put_back(model, rng, shape, scale):
    layer = model.add_image(rng.poisson(5, shape), scale=scale)
    for current in (False, True):
        source = cut(model, layer, "whole", current_frame=current)
        assert source.is_whole == (not current or not source.micrograph.is_stack) or len(shape) == 4
        part = cut_corner(source)
        result = Layer.create(*part.place((part.micrograph.pixels, {"name": "result"}, "image")))
        assert result.ndim == layer.ndim
        origin = result.world_to_data(result.data_to_world((0,) * layer.ndim))
        there = tuple(np.rint(layer.world_to_data(result.data_to_world((0,) * layer.ndim))).astype(int))
        assert result.data[tuple(np.rint(origin).astype(int))] == layer.data[there]
        assert sorted(there)[-2:] == [7, 9]


def cut_corner(source):
    """Cut 7 rows and 9 columns off the first corner."""
    box = (*source.box[:-2], slice(7, 20), slice(9, 30))
    pixels = source.micrograph.pixels[..., 7:20, 9:30]
    return type(source)(replace(source.micrograph, pixels=pixels), source.layer, box, source.single_frame)


def test_layer_without_units_has_no_pixel_size():
    size, why = found_pixel_size(Image(np.ones((40, 40)), scale=(3, 3)))
    assert size is None
    assert "unit" in why


@pytest.mark.parametrize("unit", ["angstrom", "nm", "um"])
def test_pixel_size_is_converted_to_nm(unit):
    side = {"angstrom": 0.061, "nm": 0.0061, "um": 0.0000061}[unit]
    size, _ = found_pixel_size(Image(np.ones((40, 40)), scale=(side, side), units=(unit, unit)))
    assert size == pytest.approx(0.0061)


def test_four_axes_are_refused():
    with pytest.raises(GanDenoiseError, match=r"\(T, Y, X\)"):
        whole(Image(np.ones((2, 2, 40, 40))))


def test_colour_image_keeps_its_channels(model, rng):
    layer = model.add_image(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    model.add_shapes([np.array([[0, 0], [0, 9], [9, 9], [9, 0]]) - 0.5], shape_type="rectangle")
    source = cut(model, layer, "rectangle", current_frame=False)
    assert source.micrograph.rgb
    assert source.micrograph.pixels.shape == (9, 9, 3)


@pytest.mark.parametrize("finer", [2, 4])
def test_finer_result_has_the_edges_of_its_pixels(model, rng, finer):
    layer = model.add_image(rng.poisson(0.5, (40, 60)), scale=(0.5, 0.5), translate=(3, 4), rotate=30, units=NM)
    part = type(whole(layer))(whole(layer).micrograph, layer, (slice(5, 15), slice(10, 30)))
    data = np.zeros((10 * finer, 20 * finer))
    result = Layer.create(*part.place((data, {"name": "result"}, "image"), finer))
    for corner in [(0, 0), (0, 20), (10, 20)]:  # edges of pixels, from the part's first
        there = np.multiply(corner, finer) - 0.5
        here = np.add(corner, (5, 10)) - 0.5
        np.testing.assert_allclose(result.data_to_world(there), layer.data_to_world(here), atol=1e-12)
    assert result.units == layer.units


def test_rectangle_in_another_unit_of_length(model, pixels):
    layer = model.add_image(pixels, scale=(2, 2), units=NM)
    corners = np.array([[4.5, 9.5], [4.5, 29.5], [9.5, 29.5], [9.5, 9.5]])
    model.add_shapes([corners * 2000], shape_type="rectangle", units=("pm", "pm"))
    source = cut(model, layer, "rectangle", current_frame=False)
    np.testing.assert_array_equal(source.micrograph.pixels, pixels[5:10, 10:30])
