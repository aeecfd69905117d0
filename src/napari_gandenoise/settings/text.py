"""Settings as text and back: YAML, options of a command, arguments in Python."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.base import Settings
from napari_gandenoise.settings.fields import Leaf, applies, value_at, walk
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.strangers import blaming, check_regular

__all__ = ["as_arguments", "as_options", "as_yaml", "command_line", "lay_over", "read_word", "read_yaml", "written"]


NUMBERS = ("gain", "offset", "read_noise", "sigma")  # of noise models


# --- YAML -----------------------------------------------------------------------------------------------------------


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the fields of settings from a file.

    Raises
    ------
    GanDenoiseError
        If it is not there, no YAML file of plain values, or holds no mapping.
    """
    from napari_gandenoise.settings.loader import LARGEST, read_mapping

    check_regular(path)
    if path.stat().st_size > 4 * LARGEST:
        raise GanDenoiseError(f"{path} is too large for settings.")
    with blaming(path, "text in UTF-8"):
        text = path.read_text(encoding="utf-8")
    return read_mapping(text, str(path))


def as_yaml(config: Settings) -> str:
    """Write settings for the command line and batch runs; read back they are equal."""
    import yaml

    return yaml.safe_dump(_pick(config, _chosen(config)), sort_keys=False, allow_unicode=True)


def _chosen(config: Settings) -> list[str]:
    """Name what stands in front in a form, what tells the kind of a part, and what differs from what is read else."""
    told = {
        leaf.path[0]
        for leaf in walk(type(config))
        if (len(leaf.path) == 1 and not leaf.group and applies(leaf, config)) or leaf.path[1:] == ("kind",)
    }
    told |= config.model_dump(exclude_defaults=True).keys()
    names = [name for name, value in dict(config).items() if name in told and value is not None]
    # Where something else sets a field that is not given, as a recipe does, it has to be given.
    again = type(config).model_validate({name: getattr(config, name) for name in names})
    return [name for name, value in dict(config).items() if name in names or value != getattr(again, name)]


def _pick(config: Settings, names: Collection[str]) -> dict[str, Any]:
    """Return some fields as YAML and JSON know them; parts hold their kind and what differs from their own defaults."""
    plain = config.model_dump(mode="json", include=set(names))
    parts = {name: getattr(config, name) for name in plain}
    return {n: _changed(parts[n]) if isinstance(parts[n], Settings) else value for n, value in plain.items()}


def _changed(part: Settings) -> dict[str, Any]:
    known = type(part).model_fields.items()
    return _pick(part, [n for n, i in known if n == "kind" or i.is_required() or getattr(part, n) != i.get_default()])


# --- Python ---------------------------------------------------------------------------------------------------------


def as_arguments(config: Settings) -> list[str]:
    """Write settings as keyword arguments: noise models by their public names, other parts as dictionaries."""
    return [f"{name}={_expression(getattr(config, name))}" for name in _chosen(config)]


def _expression(value: Any) -> str:
    if isinstance(value, Poisson | PoissonGaussian | Gaussian):
        return f"gd.{value!r}"
    if isinstance(value, Settings):
        return repr(_changed(value))
    if isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
        return repr(tuple(map(str, value)))
    return repr(str(value)) if isinstance(value, Path) else repr(value)


# --- options of a command -------------------------------------------------------------------------------------------


def command_line(words: Iterable[str], config: Settings, leave_out: Collection[str] = ()) -> str:
    """Write a command with the options that settings stand for."""
    return shlex.join(["napari-gandenoise", *words, *as_options(config, leave_out)])


def as_options(config: Settings, leave_out: Collection[str] = ()) -> list[str]:
    """Write settings as words of a command line, such as ``--preset fast --no-residual-step``.

    Parameters
    ----------
    config : Settings
        Which; files to read (the special field "files") are no option, and what means nothing is left out.
    leave_out : collection of str
        Fields that the command gets in another way.
    """
    names = set(_chosen(config)) - set(leave_out)
    words: list[str] = []
    for leaf in walk(type(config)):
        value = value_at(config, leaf.path)
        absent = leaf.path[0] not in names or value is None or not leaf.option or leaf.field == "files"
        if not absent and _stands(leaf, value) and applies(leaf, config):
            words += _option(leaf, value)
    return words


def _stands(leaf: Leaf, value: Any) -> bool:
    """Return whether a field has to be written that belongs to something which is."""
    return len(leaf.path) == 1 or leaf.path[-1] == "kind" or leaf.required or bool(value != leaf.default)


def _option(leaf: Leaf, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [leaf.option if value else f"--no-{leaf.option[2:]}"]
    return [leaf.option, written(value)]


def written(value: Any) -> str:
    """Write a value as a word: lists with commas, lists of lists with semicolons between them."""
    if isinstance(value, tuple | list):
        inner = any(isinstance(part, tuple | list) for part in value)
        return (";" if inner else ",").join(written(part) for part in value)
    if isinstance(value, float):
        short = f"{value:.6g}"
        return short if float(short) == value else repr(value)
    return str(value)


def read_word(kind: Any, word: str) -> Any:
    """Read a value of a type as `written` writes it; what cannot be read stays a word, for the settings to refuse."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        between = ";" if get_origin(inner) is tuple else ","
        return [read_word(inner, part.strip()) for part in word.split(between)] if word else []
    if get_origin(kind) is Literal:
        return next((value for value in get_args(kind) if str(value) == word), word)
    try:
        return kind(word) if kind in (int, float) else word
    except ValueError:
        return word


def lay_over(
    fields: Mapping[str, Any], given: Mapping[tuple[str, ...], Any], kinds: Iterable[type[Settings]] = ()
) -> dict[str, Any]:
    """Lay values of single settings over the fields of a file.

    Parameters
    ----------
    fields : mapping
        As `read_yaml` returns them.
    given : mapping
        Values by the path of their setting.  Numbers of a noise model replace the one in the file, and the kind of a
        part that is not the file's empties that part.
    kinds : iterable of Settings types
        Whose defaults parts begin with that the file does not have.

    Raises
    ------
    GanDenoiseError
        If the numbers are those of different noise models, or a value stands where a part belongs.
    """
    laid = dict(fields)
    for path, value in sorted(_with_noise(given).items(), key=lambda item: item[0][-1] != "kind"):
        part = laid
        for depth, name in enumerate(path[:-1]):
            begun = part.get(name)
            if not isinstance(begun, Mapping | None):
                raise GanDenoiseError(f"{'.'.join(path[: depth + 1])} must be a mapping of fields.")
            part[name] = dict(begun) if isinstance(begun, Mapping) else {} if depth else _beginning(name, kinds)
            part = part[name]
        if path[-1] == "kind" and part.get("kind", value) != value:
            part.clear()
        part[path[-1]] = value
    return laid


def _beginning(name: str, kinds: Iterable[type[Settings]]) -> dict[str, Any]:
    """Return what a part is like by default."""
    for kind in kinds:
        default = kind.model_fields[name].get_default() if name in kind.model_fields else None
        if isinstance(default, Settings):
            return _changed(default)
    return {}


def _with_noise(given: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """Make noise models of their numbers: any of a camera brings 1, 0 and 0 for the others."""
    numbers = {path: value for path, value in given.items() if path[-2:-1] == ("noise",) and path[-1] in NUMBERS}
    laid = {path: value for path, value in given.items() if path not in numbers}
    for whole in {path[:-1] for path in numbers}:
        laid[whole] = _noise({path[-1]: value for path, value in numbers.items() if path[:-1] == whole})
    return laid


def _noise(numbers: dict[str, Any]) -> dict[str, Any]:
    if "sigma" in numbers:
        if len(numbers) > 1:
            raise GanDenoiseError("Give either --sigma or the numbers of a camera (--gain, --offset, --read-noise).")
        return {"kind": "gaussian", **numbers}
    if numbers.get("read_noise", 0) == 0:
        return {"kind": "poisson", **{name: value for name, value in numbers.items() if name != "read_noise"}}
    return {"kind": "poisson-gaussian", **numbers}
