"""What panels say of a layer that holds no image, and what they forget."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_gandenoise.widgets import ColumnsWidget, CompareWidget, RestoreWidget

MINUTE = 60_000


@pytest.fixture(params=[ColumnsWidget, CompareWidget, RestoreWidget])
def panel(qtbot, request):
    """A panel whose viewer has had an image of known pixel size, which is gone."""
    viewer = ViewerModel()
    widget = request.param(viewer)
    qtbot.addWidget(widget)
    image = np.random.default_rng(0).poisson(2.0, (64, 64))
    viewer.add_image(image, scale=(0.0061, 0.0061), units=("nm", "nm"))
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)
    assert widget.form["pixel_size_nm"].value == pytest.approx(0.0061)
    viewer.layers.clear()
    yield widget
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)


ODD = {
    "gone": (lambda _viewer: None, "Open an image to"),
    "4-D": (lambda viewer: viewer.add_image(np.zeros((2, 3, 32, 32), np.float32)), "not (2, 3, 32, 32)"),
    "boolean": (lambda viewer: viewer.add_image(np.eye(32) > 0, name="mask"), "'mask' holds only true and false"),
    "Labels": (lambda viewer: viewer.add_labels(np.eye(32, dtype=int), name="cells"), "'cells' is of the kind Labels"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_layer_that_holds_no_image_is_told_in_one_sentence_and_nothing_is_left(panel, kind):
    add, said = ODD[kind]
    add(panel._viewer)
    assert said in panel.panel.plan.text()
    assert "\n" not in panel.panel.plan.text()
    assert panel.form["pixel_size_nm"].value is None
    if "noise" in panel.form.names():
        assert panel.form["noise"].value is None
