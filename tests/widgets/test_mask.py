"""Masks from Labels and Shapes layers: which pixels of an image they cover, whatever frames both layers have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.widgets.viewer.coordinates import carry_over
from napari_gandenoise.widgets.viewer.mask import add_mask, mask_of

NM = ("nm", "nm")
PM = ("pm", "pm")
BOX = np.array([[4.5, 9.5], [4.5, 29.5], [14.5, 29.5], [14.5, 9.5]])  # edges of rows 5 to 14, columns 10 to 29


@pytest.fixture
def image():
    return Image(np.zeros((40, 60)), scale=(0.5, 0.5), translate=(100, 200), units=NM)


@pytest.fixture
def box():
    expected = np.zeros((40, 60), bool)
    expected[5:15, 10:30] = True
    return expected


def _in_world(vertices, image):
    return np.array([image.data_to_world(vertex) for vertex in vertices])


def test_labels_of_the_same_frame_are_taken_as_they_are(image, rng):
    labels = rng.integers(0, 3, image.data.shape)
    layer = Labels(labels, scale=image.scale, translate=image.translate, units=NM)
    np.testing.assert_array_equal(mask_of(layer, image), labels != 0)


def test_coarser_and_shifted_labels_cover_what_lies_under_them(image):
    # Four pixels of the image in one label, aligned by their edges: the first centre is half a pixel in.
    labels = np.zeros((20, 30), int)
    labels[3:8, 5:15] = 7
    shifted = np.array([100, 200]) + 0.25 + np.array([-0.5, 0.0])
    layer = Labels(labels, scale=(1, 1), translate=shifted, units=NM)
    np.testing.assert_array_equal(mask_of(layer, image), np.roll(_doubled(labels) != 0, -1, axis=0))


def _doubled(labels):
    return labels.repeat(2, axis=0).repeat(2, axis=1)


def test_labels_beside_the_image_cover_nothing(image):
    assert not mask_of(Labels(np.ones((40, 60), int), translate=(-500, 0), units=NM), image).any()


@pytest.mark.parametrize("units", [NM, PM])
def test_rectangle_covers_the_centres_inside_whatever_its_frame(image, box, units):
    unit = 1000 if units == PM else 1
    # The layer's own numbers: world = 4 * numbers + (7, -3), in its unit.
    numbers = (_in_world(BOX, image) * unit - [7, -3]) / 4
    shapes = Shapes([numbers], shape_type="rectangle", scale=(4, 4), translate=(7, -3), units=units)
    np.testing.assert_array_equal(mask_of(shapes, image), box)


def test_layers_without_a_unit_of_length_are_taken_by_their_numbers(image, box):
    shapes = Shapes([_in_world(BOX, image)], shape_type="rectangle")
    assert str(shapes.units[0]) == "pixel"
    np.testing.assert_array_equal(mask_of(shapes, image), box)


def test_rotated_image_is_covered_where_the_viewer_shows_it(box):
    image = Image(np.zeros((40, 60)), scale=(0.5, 0.5), translate=(3, 4), rotate=30)
    shapes = Shapes([_in_world(BOX, image)], shape_type="polygon")
    np.testing.assert_array_equal(mask_of(shapes, image), box)


def test_ellipse_has_the_area_of_an_ellipse_and_its_centre(image):
    shapes = Shapes([_in_world(BOX, image)], shape_type="ellipse")
    mask = mask_of(shapes, image)
    assert mask.sum() == pytest.approx(np.pi / 4 * 10 * 20, rel=0.03)
    np.testing.assert_allclose(np.argwhere(mask).mean(axis=0), BOX.mean(axis=0))
    assert not mask[5, 10]


def test_paths_are_as_wide_as_they_are_drawn(image):
    corners = _in_world([[10, 10], [10, 40], [30, 40]], image)
    shapes = Shapes([corners], shape_type="path", edge_width=2.2)  # 4.4 pixels of the image: two on both sides
    mask = mask_of(shapes, image)
    np.testing.assert_array_equal(np.flatnonzero(mask[:, 25]), [8, 9, 10, 11, 12])
    np.testing.assert_array_equal(np.flatnonzero(mask[20]), [38, 39, 40, 41, 42])
    assert not mask[20, 25]


def test_several_shapes_add_up(image):
    moved = [np.add(BOX, step) for step in ((0, 0), (20, 0), (0, 10))]  # the last overlaps the first
    shapes = Shapes([_in_world(corners, image) for corners in moved], shape_type="rectangle")
    assert mask_of(shapes, image).sum() == 3 * 200 - 100


def test_frame_of_a_movie_has_its_own_marks():
    movie = Image(np.zeros((3, 40, 60)), scale=(1, 0.5, 0.5))
    labels = np.zeros((3, 40, 60), int)
    labels[1, 5:15, 10:30] = 1
    assert mask_of(Labels(labels, scale=(1, 0.5, 0.5)), movie, frame=1).sum() == 200
    assert mask_of(Labels(labels, scale=(1, 0.5, 0.5)), movie, frame=2).sum() == 0
    drawn = [np.insert(BOX * 0.5, 0, 1.0, axis=1)]
    assert mask_of(Shapes(drawn, shape_type="rectangle"), movie, frame=1).sum() == 200
    assert mask_of(Shapes(drawn, shape_type="rectangle"), movie, frame=0).sum() == 0
    # Marks without a time are on all frames.
    assert mask_of(Shapes([BOX * 0.5], shape_type="rectangle"), movie, frame=2).sum() == 200


def test_colour_image_has_one_mask_for_all_colours():
    image = Image(np.zeros((40, 60, 3)), rgb=True)
    assert mask_of(Shapes([BOX], shape_type="rectangle"), image).shape == (40, 60)


def test_other_layers_are_refused(image):
    with pytest.raises(GanDenoiseError, match="Labels or a Shapes"):
        mask_of(Points(np.zeros((1, 2))), image)


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3), (4, 40, 60)])
def test_new_mask_lies_on_the_image(shape):
    model = ViewerModel()
    frames = shape[0] == 4
    transform = {"scale": (1, 0.5, 0.5) if frames else (0.5, 0.5), "translate": (0, 3, 9) if frames else (3, 9)}
    image = model.add_image(np.zeros(shape), rgb=shape[-1] == 3, units=("pixel", *NM) if frames else NM, **transform)
    labels = add_mask(model, image)
    assert labels.data.shape == (shape[:2] if image.rgb else shape)
    np.testing.assert_allclose(labels.extent.world, image.extent.world)
    assert labels.units == image.units
    assert model.layers.selection.active is labels
    assert labels.mode == "paint"
    labels.paint((1,) * frames + (20, 30), 1)
    painted = mask_of(labels, image, frame=1 if frames else 0)
    assert painted[20, 30]
    assert 0 < painted.sum() < 100


factors = st.floats(0.1, 10)
places = st.tuples(st.floats(-50, 50), st.floats(-50, 50))


@settings(max_examples=40, deadline=None)
@given(st.tuples(factors, factors), places, st.floats(-180, 180), places, factors)
def test_points_come_back_from_another_layer(scale, translate, angle, other_place, other_scale):
    one = Image(np.zeros((40, 60)), scale=scale, translate=translate, rotate=angle, units=NM)
    other = Image(np.zeros((40, 60)), scale=(other_scale,) * 2, translate=other_place, shear=[0.3], units=PM)
    points = np.array([[0.0, 0.0], [3.5, 7.0], [39.0, 59.0]])
    np.testing.assert_allclose(carry_over(carry_over(points, one, other), other, one), points, atol=1e-6)
    # In the world of nanometres a picometre is a thousandth.
    seen = [np.divide(other.data_to_world(p), 1000) for p in carry_over(points, one, other)]
    np.testing.assert_allclose(seen, [one.data_to_world(p) for p in points], atol=1e-6)
