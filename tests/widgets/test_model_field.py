"""The field for a model, where files in the user's folder or that are named cannot be used."""

from __future__ import annotations

import os
import sys

import pytest
from safetensors.torch import save_file
from torch import zeros

from napari_gandenoise.models import bundled_names, install_model, user_folder
from napari_gandenoise.widgets.fields import model as model_field
from napari_gandenoise.widgets.fields.model import ModelField

BUNDLED = bundled_names()


def unreadable(path, content):
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("this user may read everything")
    path.write_bytes(content)
    path.chmod(0)


def pipe(path, _):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes")
    os.mkfifo(path)


BAD = {
    "cut": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "empty": lambda path, _: path.write_bytes(b""),
    "text": lambda path, _: path.write_text("a letter\nof several lines"),
    "others": lambda path, _: save_file({"weight": zeros(3)}, path),
    "folder": lambda path, _: path.mkdir(),
    "pipe": pipe,
    "loop": lambda path, _: path.symlink_to(path),
    "dangling": lambda path, _: path.symlink_to(path.with_name("nowhere")),
    "secret": unreadable,
}


@pytest.fixture
def own(tmp_path, write_direct_model):
    """The user's folder with one good model, and the bytes of its file."""
    path = write_direct_model(tmp_path, "good")
    install_model(path, "good")
    return path.read_bytes()


@pytest.fixture
def field(qtbot):
    made = ModelField()
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_hides_no_good_one_and_is_named(qtbot, own, kind):
    BAD[kind](user_folder() / f"{kind}.safetensors", own)
    field = ModelField()
    qtbot.addWidget(field)
    assert field.names() == [*BUNDLED, "good"]
    assert field.trouble.text() == f"In your folder of models, and of no use: {kind}."
    assert f"{kind}.safetensors" in field.trouble.toolTip()


def test_a_bad_file_that_comes_later_is_named_and_forgotten_when_it_goes(own, field, qtbot):
    assert field.trouble.isHidden()
    field.set_value("good")
    for name in ("a", "<b>b</b>", "c\nc"):
        (user_folder() / f"{name.replace('/', '')}.safetensors").write_bytes(own[:100])
    qtbot.waitUntil(lambda: "<b>b<b>, a, c c." in field.trouble.text())
    assert not field.trouble.isHidden()
    assert field.value() == "good"
    for path in user_folder().iterdir():
        path.unlink()
    qtbot.waitUntil(field.trouble.isHidden)
    assert field.names() == BUNDLED
    assert field.value() in BUNDLED


@pytest.mark.parametrize("kind", [*BAD, "x" * 5000, "a\0b", "../nowhere"])
def test_a_bad_path_is_a_sentence_and_the_choice_stays(own, field, tmp_path, monkeypatch, kind):
    said = []
    monkeypatch.setattr(model_field, "show_error", said.append)
    path = tmp_path / f"{kind}.safetensors"
    if kind in BAD:
        BAD[kind](path, own)
    field.set_value("good")
    field.set_value(str(path))
    assert not field.trouble.isHidden()
    field.open(str(path))
    assert said == [field.trouble.text()]
    assert said[0].endswith(".")
    assert "\n" not in said[0]
    assert field.value() == "good"
    field.set_value("hrtem")
    assert field.trouble.isHidden()


@pytest.mark.parametrize("name", ["nobody's", "x" * 5000, "a\nb", ""])
def test_a_name_that_no_model_has(field, name):
    field.set_value(name)
    assert field.trouble.text().startswith("There is no model called")
    assert "\n" not in field.trouble.text()
