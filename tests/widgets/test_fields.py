"""The fields of the panel: what they show, and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import QLabel

from napari_gandenoise.noise import Calibration
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.widgets.fields.layers import LayerField
from napari_gandenoise.widgets.fields.noise import NoiseField
from napari_gandenoise.widgets.fields.paths import PathField
from napari_gandenoise.widgets.fields.pixel_size import PixelSizeField
from napari_gandenoise.widgets.fields.preset import PRESETS, PresetField


def _texts(field) -> str:
    return " ".join(label.text() for label in [*field.findChildren(QLabel), field.note])


@pytest.fixture
def noise_field(qtbot):
    field = NoiseField()
    for widget in (field, *field.below):
        qtbot.addWidget(widget)
    return field


def test_noise_is_left_to_the_run_until_it_is_estimated(noise_field):
    assert noise_field.value() is None


def test_noise_estimate_is_shown_and_used(noise_field):
    noise_field.set_calibration(Calibration(Poisson(gain=2.1), 0.01, 0.0, True, "It counts."))
    assert noise_field.value() == Poisson(gain=2.1)
    assert "Poisson, gain 2.10, estimated" in _texts(noise_field)
    assert noise_field.note.isHidden()


def test_doubtful_estimate_says_so(noise_field):
    noise_field.set_calibration(Calibration(Poisson(), 0.5, 0.0, False, "The image is nearly constant."))
    assert "The image is nearly constant." in noise_field.note.text()
    assert not noise_field.note.isHidden()


@pytest.mark.parametrize(
    "noise",
    [Poisson(gain=0.5, offset=-12.0), PoissonGaussian(gain=3.0, offset=100.0, read_noise=2.0), Gaussian(sigma=0.25)],
)
def test_typed_noise_wins_over_the_estimate(qtbot, noise_field, noise):
    noise_field.set_calibration(Calibration(Poisson(), 0.01, 0.0, True, "It counts."))
    with qtbot.waitSignal(noise_field.changed):
        noise_field.set_value(noise)
    noise_field.set_calibration(Calibration(Poisson(gain=9.0), 0.01, 0.0, True, "It counts."))
    assert noise_field.value() == noise
    assert "typed" in _texts(noise_field)


def test_editing_starts_from_the_estimate_and_can_be_undone(noise_field):
    estimate = PoissonGaussian(gain=3.0, offset=100.0, read_noise=2.0)
    noise_field.set_calibration(Calibration(estimate, 0.01, 0.0, True, "A camera."))
    noise_field.pencil.click()
    assert noise_field.value() == estimate
    noise_field.boxes["gain"].setValue(4.0)
    assert noise_field.value() == estimate.model_copy(update={"gain": 4.0})
    noise_field.pencil.click()
    assert noise_field.value() == estimate


@pytest.fixture
def size_field(qtbot):
    field = PixelSizeField()
    qtbot.addWidget(field)
    qtbot.addWidget(field.note)
    return field


def test_pixel_size_keeps_all_digits(size_field):
    size_field.show_found(0.0061234567, "from the layer")
    assert size_field.value() == 0.0061234567
    assert "from the layer" in _texts(size_field)
    assert size_field.note.isHidden()


def test_unknown_pixel_size_is_none_and_says_why(size_field):
    size_field.show_found(None, "The layer has no unit of length: please type it.")
    assert size_field.value() is None
    assert "please type it" in size_field.note.text()
    assert not size_field.note.isHidden()


def test_typed_pixel_size_is_used(qtbot, size_field):
    size_field.show_found(0.0061234567, "from the layer")
    with qtbot.waitSignal(size_field.changed):
        size_field.set_value(0.0244)
    assert size_field.value() == 0.0244
    assert "typed" in _texts(size_field)


def test_one_preset_is_down(qtbot):
    field = PresetField()
    qtbot.addWidget(field)
    for preset in PRESETS:
        field.buttons[preset].click()
        assert field.value() == preset
        assert [button.isChecked() for button in field.buttons.values()].count(True) == 1


@pytest.fixture
def model():
    return ViewerModel()


@pytest.fixture
def layer_field(qtbot, model):
    field = LayerField(model, Image)
    qtbot.addWidget(field.native)
    return field


def test_layer_list_follows_the_viewer(model, layer_field):
    assert layer_field.value is None
    first = model.add_image(np.ones((40, 40)), name="first")
    assert layer_field.value is first
    model.add_labels(np.ones((40, 40), int))
    second = model.add_image(np.ones((40, 40)), name="second")
    assert layer_field.value is first  # a new layer does not take the choice away
    second.name = "renamed"
    assert [layer_field.native.itemText(i) for i in range(layer_field.native.count())] == ["first", "renamed"]
    model.layers.remove(first)
    assert layer_field.value is second
    model.layers.clear()
    assert layer_field.value is None


def test_hidden_layers_are_not_chosen_first(qtbot, model):
    model.add_image(np.ones((40, 40)), name="noisy")
    model.add_image(np.ones((40, 40)), name="truth", visible=False)
    model.layers.selection.clear()
    field = LayerField(model, Image)
    qtbot.addWidget(field.native)
    assert field.value.name == "noisy"


def test_a_hidden_layer_gives_way_to_the_first_that_is_shown(model, layer_field):
    model.add_image(np.ones((40, 40)), name="truth", visible=False)
    noisy = model.add_image(np.ones((40, 40)), name="noisy")
    assert layer_field.value is noisy
    noisy.visible = False
    model.add_image(np.ones((40, 40)), name="result")
    assert layer_field.value is noisy  # it was not hidden when it was chosen


def test_a_hidden_layer_that_the_user_has_chosen_stays(model, layer_field):
    model.add_image(np.ones((40, 40)), name="noisy")
    truth = model.add_image(np.ones((40, 40)), name="truth", visible=False)
    layer_field.choose(truth)
    model.add_image(np.ones((40, 40)), name="result")
    assert layer_field.value is truth


def test_a_layer_whose_data_or_place_is_another_is_told(model, layer_field):
    layer = model.add_image(np.ones((40, 40)), name="noisy")
    told = []
    layer_field.altered.connect(lambda: told.append(1))
    layer.data = np.zeros((40, 40))
    assert told
    before = len(told)
    layer.scale = (2, 2)
    assert len(told) > before
    model.layers.clear()
    told.clear()
    layer.scale = (3, 3)  # nobody listens to a layer that is gone
    assert told == []


def test_the_active_layer_is_chosen_first(model, qtbot):
    first = model.add_image(np.ones((40, 40)), name="first")
    model.add_image(np.ones((40, 40)), name="second")
    model.layers.selection.active = first
    field = LayerField(model, Image)
    qtbot.addWidget(field.native)
    assert field.value is first


def test_another_choice_is_told_whoever_made_it(model, layer_field):
    told = []
    layer_field.changed.connect(told.append)
    first = model.add_image(np.ones((40, 40)), name="first")
    second = model.add_image(np.ones((40, 40)), name="second")
    layer_field.native.setCurrentIndex(1)
    first.name = "renamed"
    layer_field.choose(first)
    assert told == [first, second, first]


def test_a_path_is_told_when_it_is_whole(qtbot, tmp_path):
    field = PathField("d")
    qtbot.addWidget(field.native)
    told = []
    field.changed.connect(told.append)
    assert field.value is None
    field.value = tmp_path
    field.line_edit.native.setText(str(tmp_path / "half"))
    assert told == [tmp_path]
    field.line_edit.native.editingFinished.emit()
    assert told == [tmp_path, tmp_path / "half"]
    field.value = None
    assert field.value is None
