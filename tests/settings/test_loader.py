"""YAML of strangers: a few bytes stay a few bytes, and what is refused is refused in a line."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.loader import LARGEST, read_mapping
from napari_gandenoise.settings.text import lay_over, read_yaml
from napari_gandenoise.settings.train import read_training

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


def refused(text: str, match: str) -> None:
    with pytest.raises(GanDenoiseError, match=match) as caught:
        read_mapping(text, "settings.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("settings.yaml")
    assert "\n" not in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (ALIASES, r"line 2, column 10: \*a0 is an alias .* write the value out in full\.$"),
        ("a: &a\n  b: *a\n", r"line 2, column 6: \*a is an alias .* write the value out in full\.$"),
        ("part: {<<: *part}", r"line 1, .* \*part is an alias"),
        (f"a: &{5000 * 'a'} 1\nb: *{5000 * 'a'}", r"line 2, column 4: \*a{40}… is an alias"),
        ("inputs: *.tif", r"line 1, column 10: a word that begins with \* or & needs quotes"),
        ("name: & co", "needs quotes"),
        ("a: 1\nb: [2\n", r"line 3, column 1: while parsing a flow sequence expected ',' or '\]'"),
        ("a: " + 40 * "[" + 40 * "]", "parts in parts"),
        ("a: " + 100_000 * "[", "parts in parts"),
        ("a: " + 5000 * "9", "a number of 5000 digits"),
        ("a: 0x" + 5000 * "f", "a number of 5002 digits"),
        ("a: " + ":".join(200 * ["59"]), "digits"),
        ("a: !!int nine", "is not a YAML file"),
        ("a: !!bool perhaps", "is not a YAML file"),
        ("a: !!python/object/apply:os.getcwd []", "is not a YAML file"),
        ("a: !!binary aGVsbG8=", "is not a YAML file"),
        ("a: !!set {b, c}", "is not a YAML file"),
        ('a: "b\\0c"', "no name of a file"),
        ('a: "\\ud800"', "no name of a file"),
        ("? [a]\n: b\n", "is not a YAML file"),
        ("1: b\n", "must hold a mapping"),
        ("", "must hold a mapping"),
        ("fast", "must hold a mapping"),
        ("a: " + "b" * LARGEST, "too long"),
    ],
)
def test_what_no_settings_need_is_refused_in_a_line(text, match):
    tracemalloc.start()
    refused(text, match)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_plain_values_are_what_they_are():
    text = "name: 2024-06-01\nseed: 3\nwhite: 1.5e+2\nsharp: yes\nnothing: ~\nlist: [1, two]\npart: {kind: unet}\n"
    assert read_mapping(text, "x") == {
        "name": "2024-06-01", "seed": 3, "white": 150.0, "sharp": True, "nothing": None, "list": [1, "two"],
        "part": {"kind": "unet"},
    }  # fmt: skip


def test_a_pipe_and_a_large_file_are_no_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(GanDenoiseError, match="is a pipe or a device"):
        read_yaml(tmp_path / "pipe.yaml")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(GanDenoiseError, match="too large"):
        read_yaml(tmp_path / "large.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(GanDenoiseError, match="cannot be read"):
        read_yaml(tmp_path / "bytes.yaml")
    with pytest.raises(GanDenoiseError, match="There is no file"):
        read_yaml(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (BatchConfig, {"inputs": 5, "output": "out"}),
        (BatchConfig, {"inputs": ["a.tif"], "output": "out", "settings": 5}),
        (BatchConfig, {"inputs": {"a": 1}, "output": "out"}),
        (DenoiseConfig, {"noise": "poisson"}),
        (DenoiseConfig, {"pixel_size_nm": float("inf")}),
        (DenoiseConfig, {"seed": {"a": [1] * 100_000}}),
        (DenoiseConfig, {"preset": "x" * 1_000_000}),
        (DenoiseConfig, {"x" * 1_000_000: 1}),
        (DenoiseConfig, {"preset": [10**5000]}),
    ],
)
def test_values_of_another_kind_are_refused_in_a_line(kind, fields):
    with pytest.raises(GanDenoiseError) as caught:
        configure(kind, None, fields)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("name", ["data", "tiles", "recipe"])
@pytest.mark.parametrize("value", [5, "words", [1], True])
def test_a_value_where_a_part_belongs(name, value):
    fields = {"name": "a", "data": {"kind": "folder", "path": "x"}, "output": "out", "architecture": {"kind": "unet"}}
    with pytest.raises(GanDenoiseError):
        read_training({**fields, name: value})
    with pytest.raises(GanDenoiseError, match=f"{name} must be a mapping"):
        lay_over({**fields, name: value}, {(name, "kind"): "x"})


@pytest.mark.parametrize("kind", [[], {}, None, 5, "words"])
def test_an_architecture_of_no_kind_that_there_is(kind):
    with pytest.raises(GanDenoiseError):
        read_training({"name": "a", "output": "out", "architecture": {"kind": kind}})
