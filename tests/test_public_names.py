"""The public names and what importing the package costs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import napari_gandenoise

HEAVY = ("torch", "napari", "qtpy", "PyQt5", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph", "scipy", "abtem")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import napari_gandenoise, napari_gandenoise as gd; dir(gd)").isdisjoint(HEAVY)


def test_the_python_api_loads_no_window():
    names = ", ".join(napari_gandenoise.__all__)
    modules = loaded_after(f"from napari_gandenoise import {names}")
    assert "torch" in modules
    assert modules.isdisjoint({"napari", "qtpy", "PyQt5", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph"})


@pytest.mark.parametrize("name", napari_gandenoise.__all__)
def test_every_public_name_resolves(name):
    assert getattr(napari_gandenoise, name) is not None
    assert name in dir(napari_gandenoise)


def test_unknown_names_raise_like_any_module():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = napari_gandenoise.nonsense


def test_no_public_name_is_that_of_a_room():
    """Importing a room sets it as an attribute of the package, in place of a function of that name."""
    rooms = {room.name for room in pkgutil.iter_modules(napari_gandenoise.__path__)}
    assert {"batching", "denoising"} <= rooms
    assert rooms.isdisjoint(napari_gandenoise.__all__)
