"""Directives that print the reference straight from the code: fields of configs, presets, and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from napari_gandenoise.cli import app
from napari_gandenoise.inversion.presets import PRESETS, Preset


class ConfigFields(SphinxDirective):
    """``{config-fields} module:Class``: the fields of a pydantic model with defaults and descriptions."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        module, _, name = self.arguments[0].partition(":")
        model: type[BaseModel] = getattr(import_module(module), name)
        rows = [(f"`{key}`", _default(field), field.description or "") for key, field in model.model_fields.items()]
        return self.parse_text_to_nodes(_table(("Field", "Default", "Meaning"), rows))


class Presets(SphinxDirective):
    """``{presets}``: the numbers behind the presets' names."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        names = [field.name for field in fields(Preset)]
        rows = [(f"`{name}`", *(_number(getattr(preset, name)) for preset in PRESETS.values())) for name in names]
        return self.parse_text_to_nodes(_table(("", *PRESETS), rows))


class CommandLine(SphinxDirective):
    """``{command-line}``: every command with its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Make a section a command."""
        text: list[str] = []
        for name, command in _commands(typer.main.get_command(app)):
            text += ["```{rubric} " + name, ":heading-level: 2", "```", "", _with_code(command.help or ""), ""]
            rows = [(_names(p), p.help or "") for p in command.params if p.name != "help"]
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


def _with_code(text: str) -> str:
    """Set options in type that keeps their two dashes."""
    return re.sub(r"--[\w-]+", r"`\g<0>`", text)


def _number(value: float) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:,}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "see below" if isinstance(value, BaseModel) else f"`{value!r}`"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx about the directives."""
    app.add_directive("config-fields", ConfigFields)
    app.add_directive("presets", Presets)
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
