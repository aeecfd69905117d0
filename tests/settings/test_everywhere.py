"""Every field of all settings can be set on the command line and in YAML, and is in what is copied."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
import yaml

import napari_gandenoise as gd
from napari_gandenoise.cli import app
from napari_gandenoise.cli._options import settings_of
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.fields import nested, value_at, walk
from napari_gandenoise.settings.recover import RecoverConfig, SharpnessConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.text import as_arguments, as_options, as_yaml, written
from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig

COMMAND_LINE = typer.main.get_command(app)
# The command of each, and what it is called with besides options.
COMMANDS: dict[Any, tuple[str, list[str]]] = {
    DenoiseConfig: ("denoise", ["in.tif", "out.tif"]),
    RestoreConfig: ("restore", ["in.tif", "out.tif"]),
    RecoverConfig: ("recover", ["in.tif", "out.tif"]),
    SharpnessConfig: ("sharpness", ["model"]),
    BatchConfig: ("batch", ["in.tif"]),
    ColumnsConfig: ("columns", ["in.tif", "out.csv"]),
    CompareConfig: ("compare", ["in.tif", "-o", "out"]),
    TrainConfig: ("train", []),
    DirectTrainConfig: ("train", []),
    CifTrainConfig: ("train", []),
    SimulationConfig: ("simulate", ["out.zarr"]),
}
# Values that the type alone does not tell.
SPECIAL = {
    "inputs": ("in.tif",),
    "levels": (0.2, 0.4),
    "methods": ("bm3d", "gan", "model:mine.safetensors"),
    "mask": Path("/somewhere/mask.tif"),
    "settings.drift": Path("/somewhere/drift.csv"),
    "architecture.windows": (16, 8),
    "architecture.size": 16,
    "norm": 1.5,
    "settings.norm": 1.5,
    "data.kind": "folder",
    "noise.kind": "gaussian",
    "settings.noise.kind": "gaussian",
    "architecture.kind": "autoencoder",
    "recipe.kind": "wgan-gp",
    "structure.kind": "crystal",
    "data.simulation.structure.kind": "crystal",
}
# What goes with a field, because settings check each other.
WITH = {
    "adversarial_every": {("encoder",): "evidence"},
    "architecture.channels": {("tiles", "pose"): "upright"},
    "tiles.pose": {("tiles", "pose"): "upright"},
}


def other(leaf):
    """A value that is not the default."""
    if leaf.dotted in SPECIAL and (leaf.dotted != "levels" or get_origin(leaf.kind) is tuple):
        return SPECIAL[leaf.dotted]
    if leaf.kind is bool:
        return leaf.default is not True
    if leaf.choices and get_origin(leaf.kind) is not tuple:
        return next(value for value in leaf.choices if value not in (leaf.default, None))
    if get_origin(leaf.kind) is tuple:
        return _other_tuple(leaf)
    if leaf.kind is int:
        step = next((m.multiple_of for m in leaf.info.metadata if hasattr(m, "multiple_of")), 1)
        return (leaf.default or 0) + step
    if leaf.kind is float:
        return leaf.default * 0.98123456789 if leaf.default else 0.0123456789
    return Path("some/where else") if leaf.kind is Path else "something, else"


def _other_tuple(leaf):
    inner = get_args(leaf.kind)[0]
    if get_args(leaf.kind) == (float, float):
        return (0.25, 0.75)
    if get_origin(inner) is Literal:
        return get_args(inner)[-1:]
    if get_origin(inner) is tuple:
        return ((1, -1, 0), (1, 0, 0))
    if inner is Path:
        return (Path("some/where else.cif"), Path("other.cif"))
    return tuple(value + 8 for value in leaf.default)


def example(kind, leaf, value):
    """Settings in which a field has a value, and means something."""
    fields = {} if kind is not DirectTrainConfig else {("tiles", "pose"): "upright"}
    for name, values in (leaf.when[0] if leaf.when else {}).items():
        if name.partition(".")[0] in kind.model_fields:
            fields[tuple(name.split("."))] = values[0]
    if fields.get(("recipe", "kind")) == "posterior-gan":
        fields["start",] = "hrtem-unet"
    fields |= {**WITH.get(leaf.dotted, {}), leaf.path: value}
    for needed in walk(kind):
        told = {".".join(path): given for path, given in fields.items()}
        meant = not needed.when or any(all(told.get(n) in v for n, v in c.items()) for c in needed.when)
        if needed.required and meant and needed.path[:-1] != leaf.path:
            fields.setdefault(needed.path, other(needed))
    return kind.model_validate(nested(fields))


def read_back(kind, words, inputs=("in.tif",)):
    """Settings that a command reads from its options."""
    name, positional = COMMANDS[kind]
    command = COMMAND_LINE.commands[name]
    context = command.make_context(name, [*positional, *words])
    context.obj = command.given(context)
    return settings_of(context, {"inputs": inputs} if kind is BatchConfig else None)


def arguments_of(config):
    """Evaluate keyword arguments as Python."""
    call = ast.parse(f"dict({', '.join(as_arguments(config))})", mode="eval")
    return eval(compile(call, "arguments", "eval"), {"gd": gd})


# A test for all fields of a job, not one for each: there are 734.


@pytest.mark.parametrize("kind", COMMANDS)
def test_each_field_is_in_yaml_and_python_and_comes_back(kind):
    for leaf in walk(kind):
        value, name = other(leaf), leaf.dotted
        config = example(kind, leaf, value)
        assert value_at(config, leaf.path) == value != leaf.default, name

        fields, arguments = yaml.safe_load(as_yaml(config)), arguments_of(config)
        assert kind.model_validate(fields) == config, name
        if value != leaf.info.default:  # a part that is there has its own defaults
            assert value_at(fields, leaf.path) == value_at(config.model_dump(mode="json"), leaf.path), name
        assert kind.model_validate(arguments) == config, name
        assert leaf.path[0] in arguments, name


@pytest.mark.parametrize("kind", COMMANDS)
def test_each_field_is_an_option_that_helps_and_is_read(kind):
    command = COMMAND_LINE.commands[COMMANDS[kind][0]]
    parameters = command.get_params(typer.Context(command))
    for leaf in walk(kind):
        _check_option(kind, leaf, parameters)


def _check_option(kind, leaf, parameters):
    named = [p for p in parameters if leaf.option in (*p.opts, *p.secondary_opts)]
    config = example(kind, leaf, other(leaf))
    words = as_options(config)
    if leaf.field == "files":
        assert any(p.param_type_name == "argument" and "INPUT" in p.metavar for p in parameters)
    elif not leaf.option:
        assert leaf.path[-2:] == ("noise", "kind"), leaf.dotted  # which of its numbers are given tells
    else:
        [parameter] = named
        assert leaf.info.description.split(" / ")[0] in parameter.help, leaf.dotted
        option = leaf.option if value_at(config, leaf.path) is not False else f"--no-{leaf.option[2:]}"
        assert words.count(option) == 1, leaf.dotted
    assert read_back(kind, words) == config, leaf.dotted


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_choice_and_default_is_shown(kind):
    command = COMMAND_LINE.commands[COMMANDS[kind][0]]
    shown = {p.opts[0]: p for p in command.get_params(typer.Context(command)) if p.opts}
    for leaf in walk(kind):
        if not leaf.option or leaf.field == "files":
            continue
        parameter = shown[leaf.option]
        if leaf.choices and leaf.kind is not bool:
            assert all(written(value) in parameter.metavar for value in leaf.choices)
        if not leaf.required and leaf.default not in (None, "", ()) and not isinstance(leaf.default, bool):
            assert written(leaf.default) in parameter.show_default.split(" or ")


def test_settings_load_without_networks_or_windows():
    code = (
        "import sys, pkgutil, importlib, napari_gandenoise.settings as room\n"
        "for module in pkgutil.iter_modules(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'torch', 'scipy', 'napari', 'qtpy', 'magicgui', 'abtem'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["denoise", "train", "batch"])
def test_help_loads_no_networks(command):
    code = (
        "import sys; from napari_gandenoise.cli import app\n"
        f"try: app(['{command}', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'scipy', 'napari', 'dask'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--preset" in told.stdout or "--recipe" in told.stdout
    assert told.stdout.strip().splitlines()[-1] == "[]"
