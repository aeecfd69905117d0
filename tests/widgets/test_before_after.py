"""Before and after: the handle on the canvas, what is summed below it, spectra and histograms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from napari.components import ViewerModel
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from napari.utils.key_bindings import coerce_keybinding
from wrapt import ObjectProxy

from napari_gandenoise.widgets.before_after.spectra import pair_of, rings
from napari_gandenoise.widgets.before_after.summed import Summed
from napari_gandenoise.widgets.before_after.swipe import Swipe

PIXEL = 0.0061


@given(
    pixels=hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=3, min_side=4, max_side=13)),
    side=st.integers(1, 4),
    data=st.data(),
)
def test_sums_are_the_means_of_blocks_wherever_they_are_cut_off(pixels, side, data):
    summed = Summed(pixels, side)
    rows, columns = pixels.shape[-2] // side, pixels.shape[-1] // side
    whole = pixels[..., : rows * side, : columns * side].astype(float)
    expected = whole.reshape(*pixels.shape[:-2], rows, side, columns, side).mean(axis=(-3, -1))
    np.testing.assert_allclose(np.asarray(summed), expected, rtol=1e-5)
    column = data.draw(st.integers(1, columns))
    part = summed.until(column)
    assert part.shape == expected[..., :column].shape
    assert part.size == expected[..., :column].size
    np.testing.assert_allclose(part[..., ::-1], expected[..., :column][..., ::-1], rtol=1e-5)
    np.testing.assert_allclose(part[0], expected[..., :column][0], rtol=1e-5)


def test_colours_are_summed_each():
    pixels = np.random.default_rng(0).random((8, 12, 3))
    summed = Summed(pixels, 2, colours=True).until(4)
    assert summed.shape == (4, 4, 3)
    np.testing.assert_allclose(summed[1, 2], pixels[2:4, 4:6].mean(axis=(0, 1)), rtol=1e-5)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def swipe(viewer):
    """A noisy movie below its denoised one, both away from the origin, among other layers."""
    counts = np.random.default_rng(0).poisson(2.0, (3, 48, 64))
    placed = {"scale": (1, PIXEL, PIXEL), "translate": (0, 1.0, 2.0), "units": ("pixel", "nm", "nm")}
    viewer.add_image(counts, name="source", **placed)
    result = viewer.add_image(np.full(counts.shape, 2.0), name="denoised", contrast_limits=(0, 4), **placed)
    viewer.add_points([[0, 1, 2]])
    coarse = {
        **placed,
        "scale": (1, 4 * PIXEL, 4 * PIXEL),
        "translate": (0, 1.0 + 1.5 * PIXEL, 2.0 + 1.5 * PIXEL),
    }
    return Swipe(viewer, Summed(counts, 4), coarse, result)


def _event(viewer, kind, position, *, pressed=True):
    """An event of the mouse at a place of the world, as napari makes it."""

    event = SimpleNamespace(type=kind, position=position, native=None, handled=False, modifiers=())
    event.dims_displayed, event.is_dragging = list(viewer.dims.displayed), kind == "mouse_move" and pressed
    return ObjectProxy(event)  # napari puts later events in its place


def _place(swipe, column, row=5):
    """A place of the world above a column of the noisy image."""
    return tuple(swipe.layer.data_to_world((0, row, column - 0.5)))


def test_the_noisy_half_lies_on_the_denoised_one(viewer, swipe):
    assert [layer.name for layer in viewer.layers] == ["source", "denoised", "noisy, summed 4×4", "Points"]
    assert swipe.layer.data.shape == (3, 12, 8)
    assert swipe.share == 0.5
    np.testing.assert_allclose(
        swipe.layer.data_to_world((0, -0.5, 7.5)), swipe.result.data_to_world((0, -0.5, 31.5)), rtol=1e-6
    )
    swipe.result.contrast_limits = (1, 3)
    assert tuple(swipe.layer.contrast_limits) == (1, 3)


def test_the_handle_is_dragged_and_the_image_is_not(viewer, swipe):
    moved = []
    swipe.moved.connect(moved.append)
    camera = viewer.scene.camera
    camera.zoom = 2000  # pixels of the screen a nm
    mouse_move_callbacks(viewer, _event(viewer, "mouse_move", _place(swipe, 2), pressed=False))
    assert camera.mouse_pan
    mouse_move_callbacks(viewer, _event(viewer, "mouse_move", _place(swipe, 8), pressed=False))
    assert not camera.mouse_pan
    mouse_press_callbacks(viewer, _event(viewer, "mouse_press", _place(swipe, 8)))
    mouse_move_callbacks(viewer, _event(viewer, "mouse_move", _place(swipe, 12)))
    mouse_release_callbacks(viewer, _event(viewer, "mouse_release", _place(swipe, 12)))
    assert moved == [0.75]
    assert swipe.layer.data.shape == (3, 12, 12)
    mouse_press_callbacks(viewer, _event(viewer, "mouse_press", _place(swipe, 4)))  # away from it: the camera's
    mouse_move_callbacks(viewer, _event(viewer, "mouse_move", _place(swipe, 6)))
    assert swipe.share == 0.75
    mouse_release_callbacks(viewer, _event(viewer, "mouse_release", _place(swipe, 6)))
    mouse_move_callbacks(viewer, _event(viewer, "mouse_move", _place(swipe, 6), pressed=False))
    assert camera.mouse_pan


@pytest.mark.parametrize(("share", "columns"), [(-1, 0), (0, 0), (0.26, 4), (1, 16), (7, 16)])
def test_it_stays_on_the_image(swipe, share, columns):
    swipe.share = share
    assert swipe.layer.visible == (columns > 0)
    assert swipe.share == columns / 16
    if columns:
        assert swipe.layer.data.shape[-1] == columns


def test_the_key_shows_the_whole_noisy_as_long_as_it_is_held(viewer, swipe):
    held = viewer.keymap[coerce_keybinding("B")](viewer)
    next(held)
    assert swipe.layer.data.shape[-1] == 16
    assert not swipe.layer.bounding_box.visible
    next(held, None)
    assert swipe.layer.data.shape[-1] == 8
    assert swipe.layer.bounding_box.visible


def test_a_grid_shows_both_whole_and_three_dimensions_the_result(viewer, swipe):
    viewer.canvas.grid.enabled = True
    assert swipe.layer.data.shape[-1] == 16
    viewer.canvas.grid.enabled = False
    assert swipe.layer.data.shape[-1] == 8
    viewer.dims.ndisplay = 3
    assert not swipe.layer.visible
    viewer.dims.ndisplay = 2
    assert swipe.layer.visible
    viewer.dims.set_point(0, 2)
    assert swipe.layer.data.shape[-1] == 8


@pytest.mark.parametrize("removed", ["noisy, summed 4×4", "denoised"])
def test_it_goes_with_either_of_its_layers(viewer, swipe, removed):
    closed = []
    swipe.closed.connect(lambda: closed.append(True))
    viewer.layers.remove(removed)
    assert closed == [True]
    assert "noisy, summed 4×4" not in viewer.layers
    assert not any(getattr(held, "__self__", None) is swipe for held in viewer.mouse_drag_callbacks)
    assert coerce_keybinding("B") not in viewer.keymap
    viewer.layers.clear()
    viewer.dims.ndisplay = 3


def test_spectra_tell_a_lattice_from_noise():
    y, x = np.mgrid[:128, :128]
    rate = 2 + np.sin(2 * np.pi * x / 8)  # 8 pixels of 0.05 nm: 2.5/nm
    counts = np.random.default_rng(0).poisson(rate).astype(np.float32)
    pair = pair_of(counts, rate.repeat(2, axis=0).repeat(2, axis=1), 2, 0.05)
    before, after = pair.spectra()
    assert pair.nyquist == 10
    peak = np.unravel_index(np.argmax(after), after.shape)
    assert abs(peak[1] - 64) / 128 * 2 * pair.nyquist == pytest.approx(2.5, abs=0.1)
    assert before[peak] == pytest.approx(after[peak], abs=0.05)
    away = np.hypot(y - 64, x - 64) > 40
    assert before[away].mean() > 10 * after[away].mean()
    edges, noisy, clean = pair.histograms()
    centres = (edges[1:] + edges[:-1]) / 2
    assert np.average(centres, weights=noisy) == pytest.approx(2, abs=0.1)
    assert noisy[centres > 3.5].sum() > clean[centres > 3.5].sum() == 0


def test_nothing_to_look_at_is_no_pair():
    assert pair_of(np.zeros((4, 40), np.float32), np.zeros((8, 80), np.float32), 2, None) is None
    assert pair_of(np.full((16, 16), np.nan, np.float32), np.zeros((16, 16), np.float32), 1, None) is None


@given(st.floats(1e-3, 1e3))
def test_rings_are_few_and_round(nyquist):
    radii = rings(nyquist)
    assert 1 <= len(radii) <= 4
    assert max(radii) <= nyquist * (1 + 1e-9)
    assert {f"{radius / radii[0]:.6g}" for radius in radii} == {str(n + 1) for n in range(len(radii))}
