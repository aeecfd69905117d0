"""Settings as text and back: YAML, options of a command, arguments in Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.base import Settings
from napari_gandenoise.settings.fields import Leaf, value_at, walk
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian

__all__ = ["as_arguments", "as_options", "as_yaml", "chosen", "read_yaml"]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the fields of settings from a file.

    Raises
    ------
    GanDenoiseError
        If it is no YAML file, or holds no mapping.
    """
    import yaml

    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GanDenoiseError(f"{path} is not a YAML file: {' '.join(str(error).split())}.") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise GanDenoiseError(f"{path} must hold a mapping of fields, like `preset: fast`.")
    return fields


def chosen(config: Settings, mode: str = "python") -> dict[str, Any]:
    """Return what stands in front in a form, and of the rest what differs from the defaults; nothing that is None."""
    front = {leaf.path[0] for leaf in walk(type(config)) if not leaf.group and len(leaf.path) == 1}
    changed = set(config.model_dump(exclude_defaults=True))
    values = config.model_dump(mode=mode, exclude_none=True) if mode == "json" else dict(config)
    return {n: v for n, v in values.items() if v is not None and (n in changed or n in front)}


def as_yaml(config: Settings) -> str:
    """Write settings for the command line and batch runs."""
    import yaml

    return yaml.safe_dump(chosen(config, "json"), sort_keys=False, allow_unicode=True)


def as_arguments(config: Settings) -> list[str]:
    """Write settings as keyword arguments: noise models by their public names, other parts as dictionaries."""
    return [f"{name}={_expression(value)}" for name, value in chosen(config).items()]


def _expression(value: Any) -> str:
    if isinstance(value, Poisson | PoissonGaussian | Gaussian):
        return f"gd.{value!r}"
    if isinstance(value, Settings):
        return repr({**value.model_dump(mode="json", exclude_defaults=True), **_kinds(value)})
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def _kinds(value: Settings) -> dict[str, Any]:
    return {"kind": value.kind} if hasattr(value, "kind") else {}


def as_options(config: Settings, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Write settings as words of a command line, such as ``--preset fast --no-residual-step``."""
    given = chosen(config)
    words: list[str] = []
    for leaf in walk(type(config), whole=("noise",)):
        value = value_at(config, leaf.path)
        if leaf.path[0] not in given or leaf.path[0] in leave_out or value is None:
            continue
        if len(leaf.path) > 1 and not leaf.required and value == leaf.default:
            continue
        words += noise_options(value) if leaf.field == "noise" else _option(leaf, value)
    return words


def noise_options(noise: Poisson | PoissonGaussian | Gaussian) -> list[str]:
    """Write a noise model as words of a command line."""
    names = ("sigma",) if isinstance(noise, Gaussian) else ("gain", "offset", "read_noise")
    numbers = {name: getattr(noise, name) for name in names if hasattr(noise, name)}
    return [w for name, number in numbers.items() for w in (f"--{name.replace('_', '-')}", f"{number:.6g}")]


def _option(leaf: Leaf, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [leaf.option if value else f"--no-{leaf.option[2:]}"]
    return [leaf.option, written(value)]


def written(value: Any) -> str:
    """Write a value as a word: lists with commas, lists of lists with semicolons between them."""
    if isinstance(value, tuple | list):
        inner = any(isinstance(part, tuple | list) for part in value)
        return (";" if inner else ",").join(written(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def command_line(words: list[str], config: Settings, leave_out: tuple[str, ...] = ()) -> str:
    """Write a command with the options that settings stand for."""
    return shlex.join(["napari-gandenoise", *words, *as_options(config, leave_out)])


def as_mapping(fields: Mapping[str, Any]) -> str:
    """Python source of nested dictionaries, a line a field."""
    return "{\n" + "".join(f"    {name!r}: {value!r},\n" for name, value in fields.items()) + "}" if fields else "{}"
