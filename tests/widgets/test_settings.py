"""Panels remember their values, and survive values they do not understand."""

from __future__ import annotations

from qtpy.QtCore import QSettings

from napari_gandenoise.widgets._form import Remembered
from napari_gandenoise.widgets.forms.memory import recall, remember


def test_values_come_back():
    values = Remembered(preset="thorough", seed=7, fit_map=True)
    remember("panel", values)
    assert recall("panel", Remembered) == values


def test_first_start_has_defaults():
    assert recall("never opened", Remembered) == Remembered()


def test_values_of_another_version_are_dropped():
    settings = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-gandenoise", "panels")
    settings.setValue("panel", '{"preset": "magic"}')
    settings.sync()
    assert recall("panel", Remembered) == Remembered()
