"""Boxes for numbers, choices, and curves: the parts of the Train and Simulate panels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy.QtGui import QValidator

from napari_gandenoise.widgets.fields.choices import Choices
from napari_gandenoise.widgets.fields.numbers import NumberBox, NumberField, NumbersField, RangeField
from napari_gandenoise.widgets.plots.loss_plot import LossPlot, smoothed, view_of


def test_an_optional_number_left_alone_is_none(qtbot):
    field = NumberField(1e-9, 1e9, "pm", optional=True, scale=1000)
    assert field.value() is None
    assert field.box.text() == "automatic"
    field.set_value(0.0244)
    assert field.value() == pytest.approx(0.0244)
    assert field.box.text() == "24.4 pm"


def test_an_optional_number_may_be_zero_where_its_setting_takes_zero(qtbot):
    field = NumberField(0.0, optional=True)
    assert field.value() is None
    field.set_value(0.0)
    assert field.value() == 0.0
    field.set_value(None)
    assert field.box.text() == "automatic"


def test_an_optional_count_left_alone_is_none(qtbot):
    field = NumberField(1, 16, optional=True, whole=True)
    assert field.value() is None
    field.set_value(1)
    assert field.value() == 1
    assert isinstance(field.value(), int)
    field.box.stepUp()
    assert field.value() == 2
    field.set_value(None)
    assert field.value() is None


def test_numbers_are_typed_with_commas(qtbot):
    field = NumbersField()
    field.set_value((40, 80, 120))
    assert field.line.text() == "40, 80, 120"
    field.line.setText("8, 16,")
    assert field.value() == (8, 16)
    field.line.setText("8, x")
    assert field.value() == (8, "x")


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
    box = RangeField(0.0, 100.0)
    box.set_value((2.0, 5.0))
    box.boxes[0].setValue(8.0)
    assert box.value() == (8.0, 8.0)
    box.boxes[1].setValue(3.0)
    assert box.value() == (3.0, 3.0)


def test_repeats_keep_their_weight_until_the_choice_changes(qtbot):
    choices = Choices({"Pt": "Pt", "Au": "Au"})
    choices.set_value(("Pt", "Pt", "Au"))
    assert choices.value() == ("Pt", "Pt", "Au")
    choices.buttons["Pt"].click()
    assert choices.value() == ("Au",)
    choices.buttons["Au"].click()  # the last one stays
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
