"""Micrographs of arrays and of layers."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from napari.layers import Image, Labels, Points

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph, nm_per_unit, pixel_from_sides
from napari_gandenoise.settings.noise import Poisson

intensities = st.one_of(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(sizes=(16, 32, 64)))
shapes = hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)


@given(hnp.arrays(intensities, shapes))
def test_any_image_or_movie_of_numbers_is_a_micrograph(pixels):
    assume(pixels.ndim == 2 or pixels.shape[-1] > 1)  # (Y, X, 1) is an image
    micrograph = Micrograph.of(pixels)
    assert micrograph.pixels is pixels
    assert micrograph.is_stack == (pixels.ndim == 3)
    frames = [micrograph.frame(i).pixels for i in range(micrograph.frames)]
    assert all(frame.ndim == 2 and frame.dtype.isnative for frame in frames)
    np.testing.assert_array_equal(np.stack(frames), pixels.reshape(micrograph.frames, *pixels.shape[-2:]))


@given(hnp.arrays(st.one_of(hnp.boolean_dtypes(), hnp.complex_number_dtypes(), hnp.unicode_string_dtypes()), shapes))
def test_other_types_are_refused(pixels):
    with pytest.raises(GanDenoiseError, match=r"only integer or floating-point .*convert it first"):
        Micrograph(pixels)


@pytest.mark.parametrize(
    ("shape", "rgb", "complaint"),
    [
        ((), False, "must have the shape"),
        ((7,), False, "must have the shape"),
        ((2, 3, 4, 5), False, "must have the shape"),
        ((0, 7), False, "is empty"),
        ((0, 7, 7), False, "is empty"),
        ((7, 7), True, "colour image must have the shape"),
        ((7, 7, 2), True, "colour image must have the shape"),
        ((5, 7, 7, 3), True, "colour image must have the shape"),
    ],
)
def test_other_shapes_are_refused(shape, rgb, complaint):
    with pytest.raises(GanDenoiseError, match=complaint):
        Micrograph(np.zeros(shape), rgb=rgb)


@pytest.mark.parametrize("size", [0, -0.1, float("nan"), float("inf")])
def test_the_pixel_size_must_be_a_length(size):
    with pytest.raises(GanDenoiseError, match="positive number of nanometres"):
        Micrograph(np.zeros((4, 4)), pixel_size_nm=size)


def test_lists_become_arrays_and_other_things_are_refused(tmp_path):
    assert Micrograph.of([[1, 2], [3, 4]]).pixels.shape == (2, 2)
    with pytest.raises(GanDenoiseError, match="must be an array, not list"):
        Micrograph([[1, 2]])
    with pytest.raises(GanDenoiseError, match="read_micrograph"):
        Micrograph.of(tmp_path)
    with pytest.raises(GanDenoiseError, match=r"must have the shape .*, not \(\)"):
        Micrograph.of(None)


def test_dask_movies_stay_lazy_until_a_frame_is_asked_for():
    loaded = []

    def load(block_info=None):
        loaded.append(block_info[None]["chunk-location"][0])
        return np.full((1, 4, 5), loaded[-1], np.uint16)

    movie = da.map_blocks(load, chunks=((1,) * 6, (4,), (5,)), dtype=np.uint16, meta=np.empty((0, 0, 0), np.uint16))
    micrograph = Micrograph.of(movie)
    assert micrograph.frames == 6
    assert not loaded
    assert (micrograph.frame(-2).pixels == 4).all()
    assert loaded == [4]
    with pytest.raises(IndexError):
        micrograph.frame(6)


def test_of_overrides_what_a_micrograph_says():
    known = Micrograph(np.zeros((4, 4)), pixel_size_nm=0.1, name="a")
    assert Micrograph.of(known) is known
    changed = Micrograph.of(known, pixel_size_nm=0.2, noise=Poisson(gain=3))
    assert (changed.pixel_size_nm, changed.name, changed.noise) == (0.2, "a", Poisson(gain=3))
    assert changed.pixels is known.pixels


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        ("nm", 1.0),
        ("pm", 1e-3),
        ("Å", 0.1),
        ("\u212b", 0.1),
        ("angstrom", 0.1),
        ("µm", 1e3),
        ("μm", 1e3),
        ("\\u00B5m", 1e3),
        ("micron", 1e3),
        ("microns", 1e3),
        ("Nanometers", 1.0),
        ("micrometre", 1e3),
        ("A", 0.1),
        ("\\u00C5", 0.1),
        ("Ångström", 0.1),
        ("\\u03BCm", 1e3),
        ("inch", 2.54e7),
        ("pixel", None),
        ("", None),
        ("second", None),
    ],
)
def test_units_of_length_as_files_spell_them(unit, nm):
    assert nm_per_unit(unit) == nm


class TestLayers:
    """Real napari layers, recognised without importing napari."""

    def test_scale_and_units_give_the_pixel_size(self):
        layer = Image(np.zeros((8, 9)), scale=(6.1, 6.1), units=("pm", "pm"), name="Pt")
        micrograph = Micrograph.of(layer)
        assert micrograph.pixel_size_nm == pytest.approx(0.0061)
        assert micrograph.name == "Pt"
        assert micrograph.pixels is layer.data

    def test_pixel_units_mean_that_nobody_knows(self):
        assert Micrograph.of(Image(np.zeros((8, 9)), scale=(2, 2))).pixel_size_nm is None

    def test_a_movie_is_measured_by_its_image_axes(self):
        layer = Image(np.zeros((3, 8, 9)), scale=(0.5, 0.2, 0.2), units=("s", "angstrom", "angstrom"))
        assert Micrograph.of(layer).pixel_size_nm == pytest.approx(0.02)

    def test_a_mirrored_layer_keeps_its_pixel_size(self):
        layer = Image(np.zeros((8, 9)), scale=(-0.1, 0.1), units=("nm", "nm"))
        assert Micrograph.of(layer).pixel_size_nm == pytest.approx(0.1)

    def test_mixed_units_of_the_same_length_agree(self):
        layer = Image(np.zeros((8, 9)), scale=(100, 0.1), units=("pm", "nm"))
        assert Micrograph.of(layer).pixel_size_nm == pytest.approx(0.1)

    def test_oblong_pixels_are_taken_as_squares_and_said(self):
        layer = Image(np.zeros((8, 9)), scale=(0.1, 0.4), units=("nm", "nm"))
        micrograph = Micrograph.of(layer)
        assert (micrograph.pixel_size_nm, micrograph.aspect) == (pytest.approx(0.2), pytest.approx(0.25))
        assert "0.1 nm high and 0.4 nm wide" in micrograph.warnings[0]
        again = Image(np.zeros((8, 9)), **{k: v for k, v in micrograph.to_layer_data()[1].items() if k != "rgb"})
        np.testing.assert_allclose(again.scale, layer.scale)
        assert Micrograph.of(layer, pixel_size_nm=0.2).aspect == pytest.approx(0.25)
        given = Micrograph.of(layer, pixel_size_nm=0.15)
        assert (given.pixel_size_nm, given.aspect, given.warnings) == (0.15, 1, ())

    @pytest.mark.parametrize("size", [1e-10, 1e17, 0.0, float("nan"), float("inf")])
    def test_sizes_that_no_microscope_has_are_unknown(self, size):
        assert pixel_from_sides(size, size) == {"pixel_size_nm": None, "aspect": 1}

    @pytest.mark.parametrize(
        ("shape", "rgb", "kept"),
        [
            ((5, 1, 8, 9), False, (5, 8, 9)),
            ((8, 9, 1), False, (8, 9)),
            ((1, 1, 8, 9), False, (8, 9)),
            ((5, 8, 9, 1), False, (5, 8, 9)),
            ((1, 8, 9), False, (1, 8, 9)),
            ((1, 8, 9, 3), True, (8, 9, 3)),
        ],
    )
    def test_axes_of_length_one_are_left_out(self, shape, rgb, kept, rng):
        pixels = rng.integers(9, size=shape)
        np.testing.assert_array_equal(Micrograph.of(pixels, rgb=rgb).pixels, pixels.reshape(kept))
        dimensions = len(shape) - rgb
        layer = Image(pixels, rgb=rgb, scale=range(2, 2 + dimensions), units=("nm",) * dimensions)
        found, sides = Micrograph.of(layer), {8: 2 + shape.index(8), 9: 2 + shape.index(9)}
        assert found.pixels.shape == kept
        assert found.pixel_size_nm == pytest.approx((sides[8] * sides[9]) ** 0.5)

    def test_true_and_false_are_counts(self):
        assert Micrograph.of(np.eye(4, dtype=bool)).pixels.sum() == 4

    def test_colours_are_taken_from_the_layer(self):
        micrograph = Micrograph.of(Image(np.zeros((8, 9, 3)), rgb=True))
        assert micrograph.rgb
        assert not micrograph.is_stack

    def test_the_finest_level_of_a_pyramid_is_taken(self):
        levels = [np.zeros((64, 64)), np.zeros((32, 32))]
        assert Micrograph.of(Image(levels, multiscale=True)).pixels.shape == (64, 64)

    @pytest.mark.parametrize("layer", [Points(np.zeros((2, 2)), name="p"), Labels(np.zeros((8, 9), int), name="p")])
    def test_layers_without_intensities_are_refused(self, layer):
        with pytest.raises(GanDenoiseError, match="'p' is not an image layer"):
            Micrograph.of(layer)
