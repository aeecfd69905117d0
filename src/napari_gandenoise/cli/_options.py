"""Options of commands, made of the settings of their jobs, and back to settings."""

from __future__ import annotations

from functools import cached_property, partial
from importlib import import_module
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_gandenoise.settings.base import Settings
    from napari_gandenoise.settings.fields import Leaf

__all__ = ["ConfigFile", "Overwrite", "SettingsCommand", "settings_of", "taking"]

ConfigFile = Annotated[Path | None, typer.Option(help="YAML file with the same fields; options override it.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


class SettingsCommand(TyperCommand):
    """A command that has an option for every field of settings; they are loaded when it is called or asked for help."""

    sources: tuple[str, ...] = ()

    @cached_property
    def kinds(self) -> list[type[Settings]]:
        """The settings."""
        places = [source.split(":") for source in self.sources]
        return [getattr(import_module(f"napari_gandenoise.settings.{room}"), name) for room, name in places]

    @cached_property
    def leaves(self) -> dict[str, list[Leaf]]:
        """Fields of settings by the name of their parameter; those of several kinds of settings may share one."""
        from napari_gandenoise.settings.fields import walk

        found: dict[str, list[Leaf]] = {}
        for leaf in (leaf for kind in self.kinds for leaf in walk(kind)):
            if leaf.option and leaf.field != "files":
                name = leaf.option[2:].replace("-", "_").replace(".", "__")
                found.setdefault(name, []).append(leaf)
        return found

    @cached_property
    def options(self) -> list[Any]:
        """The options of all fields."""

        def command() -> None: ...

        parameters = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(leaves))
            for name, leaves in self.leaves.items()
        ]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        app = typer.Typer(add_completion=False)
        app.command()(command)
        return list(typer.main.get_command(app).params)

    def get_params(self, ctx: Any) -> Any:
        """Return all parameters: first those of the command alone."""
        own = super().get_params(ctx)
        return [*own[:-1], *self.options, own[-1]]  # --help is the last one

    def given(self, ctx: Any) -> dict[tuple[str, ...], Any]:
        """Return what was given, by the path of the field."""
        words = {leaves[0].path: ctx.params.get(name) for name, leaves in self.leaves.items()}
        return {path: value for path, value in words.items() if value is not None}

    def invoke(self, ctx: Any) -> Any:
        """Call the command with what it asks for itself; `settings_of` reads the rest."""
        ctx.obj = self.given(ctx)
        ctx.params = {name: value for name, value in ctx.params.items() if name not in self.leaves}
        return super().invoke(ctx)


def taking(*sources: str) -> type[SettingsCommand]:
    """Make the class of a command that takes settings, such as "denoise:DenoiseConfig"."""
    return type("SettingsCommand", (SettingsCommand,), {"sources": sources})


def settings_of(ctx: typer.Context, fields: Path | Mapping[str, Any] | None = None) -> Any:
    """Return the settings of a command: its options laid over the fields of a YAML file.

    Raises
    ------
    GanDenoiseError
        If a value is not allowed, in one sentence that names the option.
    """
    from pydantic import ValidationError

    from napari_gandenoise.errors import GanDenoiseError
    from napari_gandenoise.settings.text import lay_over, read_yaml
    from napari_gandenoise.settings.train import kind_of_training

    command: Any = ctx.command
    laid = lay_over(read_yaml(fields) if isinstance(fields, Path) else fields or {}, ctx.obj, command.kinds)
    kind = command.kinds[0] if len(command.kinds) == 1 else kind_of_training(laid)
    try:
        return kind.model_validate(laid)
    except ValidationError as error:
        missing = error.errors()[0]["type"] == "missing"
        raise GanDenoiseError.from_validation(error, partial(_option_of, command, ctx.obj, missing)) from None


def _option_of(command: Any, given: Mapping[tuple[str, ...], Any], missing: bool, place: tuple[str, ...]) -> str:
    """Return the option that set a field or could set it; a field of a file keeps its name."""
    names = {name for leaves in command.leaves.values() for leaf in leaves for name in leaf.path}
    path = tuple(name for name in place if name in names)  # pydantic adds the kinds of parts
    options = [leaves[0].option for leaves in command.leaves.values() if leaves[0].path == path]
    return options[0] if options and (missing or path in given) else ".".join(place)


def _annotation(leaves: list[Leaf]) -> Any:
    """Describe an option for typer: its values are words or numbers, for the settings to judge."""
    from napari_gandenoise.settings.fields import BOTH
    from napari_gandenoise.settings.text import read_word

    leaf = leaves[0]
    said = dict.fromkeys(text for one in leaves for text in (one.info.description or one.title).split(BOTH))
    about: dict[str, Any] = {
        "help": BOTH.join(said),
        "show_default": " or ".join(dict.fromkeys(filter(None, map(_default, leaves)))) or False,
        "rich_help_panel": leaf.group or "Settings",
    }
    if leaf.kind is bool:
        return Annotated[bool | None, typer.Option(f"{leaf.option}/--no-{leaf.option[2:]}", **about)]
    reader = partial(read_word, leaf.kind)
    return Annotated[Any, typer.Option(leaf.option, parser=reader, metavar=_metavar(leaves), **about)]


def _default(leaf: Leaf) -> str:
    from napari_gandenoise.settings.text import written

    if leaf.required or leaf.default in (None, "", ()):
        return ""
    return ("no", "yes")[leaf.default] if isinstance(leaf.default, bool) else written(leaf.default)


def _metavar(leaves: list[Leaf]) -> str:
    from napari_gandenoise.settings.text import written

    leaf = leaves[0]
    inner = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else None
    chosen = dict.fromkeys(value for one in leaves for value in one.choices)
    values = tuple(chosen) or (get_args(inner) if get_origin(inner) is Literal else ())
    if inner is not None:
        pair = get_args(leaf.kind)[1:] == (inner,)
        return "LOW,HIGH" if pair else (";" if get_origin(inner) is tuple else ",").join([*map(written, values), "..."])
    if values:
        return f"[{'|'.join(map(str, values))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(leaf.kind, "TEXT")
