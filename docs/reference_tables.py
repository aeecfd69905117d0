"""Directives that print the reference straight from the code: settings, presets, formats and commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from importlib import import_module
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from napari_gandenoise.cli import app
from napari_gandenoise.inversion.presets import PRESETS, Preset
from napari_gandenoise.io.formats import FORMATS, OWN
from napari_gandenoise.settings.base import Settings
from napari_gandenoise.settings.fields import Leaf, walk
from napari_gandenoise.settings.text import written


class ConfigFields(SphinxDirective):
    """``{config-fields} file:Class``: the fields of settings, those of their parts too; or ``whole.module:Class``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        module, _, name = self.arguments[0].partition(":")
        module = module if "." in module else f"napari_gandenoise.settings.{module}"
        model: type[Settings] = getattr(import_module(module), name)
        rows = [(f"`{leaf.dotted}`", _option(leaf), _default(leaf), leaf.unit, _meaning(leaf)) for leaf in walk(model)]
        return self.parse_text_to_nodes(_table(("Field", "Option", "Default", "Unit", "Meaning"), rows))


class Presets(SphinxDirective):
    """``{presets}``: the numbers behind the presets' names."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        names = [field.name for field in fields(Preset)]
        rows = [(f"`{name}`", *(_number(getattr(preset, name)) for preset in PRESETS.values())) for name in names]
        return self.parse_text_to_nodes(_table(("", *PRESETS), rows))


class Formats(SphinxDirective):
    """``{formats}``: the files of microscopes that are read."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        rows = [
            (
                kind.name,
                " ".join(f"`{suffix}`" for suffix in kind.suffixes),
                kind.holds,
                "" if kind.reader in OWN else "yes",
            )
            for kind in FORMATS
        ]
        return self.parse_text_to_nodes(_table(("Format", "Files", "What is read", "Needs `formats`"), rows))


class CommandLine(SphinxDirective):
    """``{command-line}``: every command with its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Make a section a command."""
        text: list[str] = []
        for name, command in _commands(typer.main.get_command(app)):
            text += ["```{rubric} " + name, ":heading-level: 2", "```", "", _with_code(command.help or ""), ""]
            parameters = command.get_params(typer.Context(command))
            rows = [(_names(p), _help(p)) for p in parameters if p.name != "help"]
            text += [*_table(("Argument", "Meaning"), rows).splitlines(), ""] if rows else []
        holder = nodes.container()
        self.state.nested_parse(StringList(text, source=__name__), 0, holder)
        return holder.children


def _commands(group: Any, prefix: str = "napari-gandenoise") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return " ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))


def _help(parameter: Any) -> str:
    default = getattr(parameter, "show_default", False)
    return f"{parameter.help or ''}{f' [{default}]' if isinstance(default, str) else ''}"


def _with_code(text: str) -> str:
    """Set options in type that keeps their two dashes."""
    return re.sub(r"--[\w-]+", r"`\g<0>`", text)


def _number(value: float) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:,}"


def _option(leaf: Leaf) -> str:
    return f"`{leaf.option}`" if leaf.option and leaf.field != "files" else ""


def _default(leaf: Leaf) -> str:
    if leaf.required:
        return "required"
    return "" if leaf.default in (None, "", ()) else f"`{written(leaf.default)}`"


def _meaning(leaf: Leaf) -> str:
    """Say what a field is, what it can be, and where it means something."""
    text = leaf.info.description or leaf.title
    if leaf.choices and leaf.kind is not bool:
        text += f" One of {', '.join(f'`{written(value)}`' for value in leaf.choices)}."
    for condition in leaf.when:
        text += f" *{'; '.join(f'{name}: {_any(values)}' for name, values in condition.items())}.*"
    return text


def _any(values: Iterable[Any]) -> str:
    return " or ".join(map(str, values))


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx about the directives."""
    app.add_directive("config-fields", ConfigFields)
    app.add_directive("presets", Presets)
    app.add_directive("formats", Formats)
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
