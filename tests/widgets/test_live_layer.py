"""The preview layer becomes the result, stays as a partial one, or goes if the user removes it."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.source import whole


@pytest.fixture
def model():
    return ViewerModel()


@pytest.fixture
def live(model, rng):
    noisy = model.add_image(rng.poisson(0.5, (40, 60)), name="noisy", scale=(0.1, 0.1), units=("nm", "nm"))
    return LiveLayer(model, whole(noisy), "noisy · denoised (m)", {"key": "partial"})


RESULT = (np.full((40, 60), 2.0), {"name": "result", "metadata": {"key": "done"}, "contrast_limits": (0, 3)}, "image")


def test_previews_share_one_layer_that_becomes_the_result(model, live):
    live.show(np.zeros((40, 60)))
    live.show(np.ones((40, 60)))
    assert len(model.layers) == 2
    live.finish([RESULT, (np.ones((40, 60)), {"name": "fit map"}, "image")])
    assert [layer.name for layer in model.layers] == ["noisy", "result", "fit map"]
    result = model.layers["result"]
    np.testing.assert_array_equal(result.data, RESULT[0])
    np.testing.assert_allclose(result.scale, (0.1, 0.1))
    assert result.metadata["key"] == "done"
    assert tuple(result.contrast_limits) == (0, 3)


def test_result_without_previews_is_added(model, live):
    live.finish([RESULT])
    assert "result" in model.layers


def test_partial_layer_is_kept_with_its_provenance(model, live):
    assert not live.keep_partial()
    live.show(np.ones((40, 60)))
    assert live.keep_partial()
    partial = model.layers["noisy · denoised (m) (partial)"]
    assert partial.metadata == {"key": "partial"}


def test_removed_preview_does_not_come_back_before_the_result(model, live):
    live.show(np.zeros((40, 60)))
    model.layers.remove(model.layers[-1])
    live.show(np.ones((40, 60)))
    assert len(model.layers) == 1
    live.finish([RESULT])
    assert [layer.name for layer in model.layers] == ["noisy", "result"]


def test_contrast_follows_the_previews_until_the_user_sets_it(model, live, rng):
    live.show(rng.uniform(0, 1, (40, 60)))
    live.show(rng.uniform(10, 20, (40, 60)))
    layer = model.layers[-1]
    assert layer.contrast_limits[0] > 9
    layer.contrast_limits = (5, 30)
    live.show(rng.uniform(100, 200, (40, 60)))
    assert tuple(layer.contrast_limits) == (5, 30)


def test_unfinished_tiles_may_be_nan(model, live):
    preview = np.full((40, 60), np.nan)
    live.show(preview)
    assert tuple(model.layers[-1].contrast_limits) == (0, 1)
    preview = preview.copy()
    preview[:10] = np.linspace(1, 2, 60)
    live.show(preview)
    assert model.layers[-1].contrast_limits[1] == pytest.approx(2, abs=0.1)


def test_frames_of_a_movie_gather_in_one_layer(model, rng):
    noisy = model.add_image(rng.poisson(0.5, (3, 40, 60)), name="movie")
    live = LiveLayer(model, whole(noisy), "denoised", {})
    live.show(np.full((40, 60), 1.0, np.float32), frame=0)
    live.show(np.full((40, 60), 2.0, np.float32), frame=1)
    data = model.layers["denoised …"].data
    assert data.shape == (3, 40, 60)
    assert data[0, 0, 0] == 1
    assert data[1, 0, 0] == 2
    assert np.isnan(data[2]).all()


def test_colours_of_a_finer_result_of_a_grey_image(model, live, rng):
    coloured = LiveLayer(model, live.source, "coloured", {}, finer=2)
    coloured.show(rng.uniform(0, 1, (80, 120, 3)).astype(np.float32))
    coloured.finish([(np.ones((80, 120, 3), np.float32), {"name": "coloured", "rgb": True}, "image")])
    layer = model.layers["coloured"]
    assert layer.rgb
    np.testing.assert_allclose(layer.scale, (0.05, 0.05))
    np.testing.assert_allclose(layer.translate, (-0.025, -0.025))
