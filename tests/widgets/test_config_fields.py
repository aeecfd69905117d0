"""Fields made from pydantic models, boxes for numbers, and curves: the parts of the Train and Simulate panels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from qtpy.QtGui import QValidator

from napari_gandenoise.settings.data import TileConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import ImagingConfig
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.widgets._config_fields import Choices, ConfigFields
from napari_gandenoise.widgets.plots.loss_plot import LossPlot, smoothed, view_of
from napari_gandenoise.widgets.fields.numbers import NumberBox, RangeBox

ALL = [(TileConfig, list(TileConfig.model_fields)), (ImagingConfig, list(ImagingConfig.model_fields))]


@pytest.mark.parametrize(("model", "names"), ALL)
def test_fields_start_with_the_defaults_of_the_model(qtbot, model, names):
    assert model(**ConfigFields(model, names).values()) == model()


def test_an_optional_number_left_alone_is_none(qtbot):
    fields = ConfigFields(TrainConfig, ["pixel_size_nm"])
    assert fields.values() == {"pixel_size_nm": None}
    assert fields["pixel_size_nm"].text() == "automatic"
    fields.set_values({"pixel_size_nm": 0.0244})
    assert fields.values() == {"pixel_size_nm": pytest.approx(0.0244)}
    assert fields["pixel_size_nm"].text() == "24.4 pm"


def test_an_optional_number_may_be_zero_where_its_field_takes_zero(qtbot):
    fields = ConfigFields(RestoreConfig, ["realism"])
    assert fields.values() == {"realism": None}
    fields.set_values({"realism": 0.0})
    assert fields.values() == {"realism": 0.0}
    fields.set_values({"realism": None})
    assert fields["realism"].text() == "automatic"


def test_an_optional_count_left_alone_is_none(qtbot):
    fields = ConfigFields(DenoiseConfig, ["views"])
    assert fields.values() == {"views": None}
    assert fields["views"].text() == "automatic"
    fields.set_values({"views": 1})
    assert fields.values() == {"views": 1}
    fields.set_values({"views": None})
    assert fields.values() == {"views": None}


def test_one_of_several_values_has_its_title(qtbot):
    fields = ConfigFields(RestoreConfig, ["factor"], {"factor": {2: "twice", 4: "four times"}})
    fields.set_values({"factor": 4})
    assert fields["factor"].currentText() == "four times"
    assert fields.values() == {"factor": 4}


def test_bounds_and_descriptions_are_those_of_the_model(qtbot):
    fields = ConfigFields(TileConfig, ["scale", "near_empty"])
    fields["scale"].setValue(7)
    assert fields.values()["scale"] < 0.5
    TileConfig(**fields.values())
    assert fields["near_empty"].toolTip() == TileConfig.model_fields["near_empty"].description


def test_a_type_without_a_field_is_a_bug_that_shows(qtbot):
    class Odd(BaseModel):
        table: dict[str, int] = Field(default_factory=dict)

    with pytest.raises(TypeError, match="table"):
        ConfigFields(Odd, ["table"])


@given(st.floats(1e-7, 1e7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_number_is_read_as_it_is_written(qtbot, value):
    box = NumberBox(0.0, 1e9, "nm")
    box.setValue(value)
    text = box.text()
    assert text.endswith(" nm")
    assert box.validate(text, 0)[0] == QValidator.State.Acceptable
    assert box.valueFromText(text) == pytest.approx(box.value(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("5e-4", QValidator.State.Acceptable),
        ("5e-", QValidator.State.Intermediate),
        ("20", QValidator.State.Intermediate),  # out of range, but may become 2.0
        ("five", QValidator.State.Invalid),
    ],
)
def test_what_is_being_typed(qtbot, text, state):
    assert NumberBox(0.0, 10.0).validate(text, 0)[0] == state


def test_the_ends_of_a_range_stay_in_order(qtbot):
    box = RangeBox(0.0, 100.0)
    box.set_value((2.0, 5.0))
    box._boxes[0].setValue(8.0)
    assert box.value() == (8.0, 8.0)
    box._boxes[1].setValue(3.0)
    assert box.value() == (3.0, 3.0)


def test_repeats_keep_their_weight_until_the_choice_changes(qtbot):
    choices = Choices({"Pt": "Pt", "Au": "Au"})
    choices.set_value(("Pt", "Pt", "Au"))
    assert choices.value() == ("Pt", "Pt", "Au")
    choices._buttons["Pt"].click()
    assert choices.value() == ("Au",)
    choices._buttons["Au"].click()  # the last one stays
    assert choices.value() == ("Au",)


def test_smoothing_keeps_a_constant_and_quiets_noise(rng):
    np.testing.assert_allclose(smoothed(np.full(500, 3.0)), 3.0)
    noise = rng.normal(size=5000)
    assert smoothed(noise)[500:].std() < 0.2
    assert smoothed(np.array([2.0])).tolist() == [2.0]


def test_curves_of_one_scale_are_drawn_together(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    for step in range(1, 4):
        values = {
            "generator": 1.0 / step,
            "accuracy": 0.5,
            "learning rate": 1e-4,
            "validation PSNR": 20.0,
            "bad": np.nan,
        }
        plot.add(step, values)
    assert plot.names() == ["generator"]
    views = [plot.view.itemData(index) for index in range(plot.view.count())]
    assert set(views) == {"losses", "shares", "pace", "validation"}
    plot.view.setCurrentIndex(plot.view.findData("shares"))
    assert plot.names() == ["accuracy"]
    assert plot.points("accuracy")[0].tolist() == [1, 2, 3]
    plot.add(4, {"generator": 0.1, "accuracy": 0.6})
    assert plot.points("accuracy")[1].tolist() == [0.5, 0.5, 0.5, 0.6]
    plot.view.setCurrentIndex(plot.view.findData("losses"))
    assert plot.points("generator")[0].tolist() == [1, 2, 3, 4]
    plot.log.setChecked(True)
    plot.add(5, {"generator": -1.0})
    qtbot.waitUntil(lambda: not plot.log.isEnabled(), timeout=2000)  # no logarithm of a loss below zero
    assert not plot.log.isChecked()
    plot.clear()
    assert plot.names() == []


@pytest.mark.parametrize(
    ("name", "view"),
    [("validation fringes, held out", "fringes"), ("validation spectrum", "validation"), ("evidence", "losses")],
)
def test_a_value_has_its_view(name, view):
    assert view_of(name) == view
