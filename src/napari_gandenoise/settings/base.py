"""What all settings share: they are immutable, compare by value, refuse unknown fields, and say what each field is."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from napari_gandenoise.errors import GanDenoiseError, in_short

__all__ = ["Device", "FolderPath", "Intensity", "ModelName", "Pose", "Settings", "configure", "rising", "setting"]

SettingsT = TypeVar("SettingsT", bound="Settings")


def rising(limits: tuple[float, float]) -> tuple[float, float]:
    """Return two limits above 0, the smaller first; a validator.

    Raises
    ------
    ValueError
        If they are others.
    """
    if not 0 < limits[0] <= limits[1]:
        raise ValueError(f"two numbers above 0, the smaller first, got {limits}.")
    return limits


class Settings(BaseModel):
    """Settings of a job, or a part of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def setting(
    default: Any = ...,
    description: str = "",
    *,
    title: str = "",
    unit: str = "",
    group: str = "",
    field: str = "",
    by: str = "",
    choices: Mapping[Any, str] | None = None,
    only: Mapping[str, tuple[Any, ...]] | None = None,
    of_image: bool = False,
    **bounds: Any,
) -> Any:
    """Describe a field of a `Settings` model; forms, options, snippets and the reference are made from this.

    Parameters
    ----------
    default : object
        Its default; without one it is required.
    description : str
        A sentence: tooltip, help text, row of the reference.
    title : str
        Label in a form; by default the field's name in words.
    unit : str
        Unit of the number.
    group : str
        Folded part of a form that it stands in; none: it is in front.
    field : str
        Special widget or way of typing that it needs: "model", "latent model", "noise", "pixel size", "methods",
        "folder", "file", "preset", "data", "flat" (its own fields stand beside those of its parent) or "hidden" (its
        value follows from others, no form shows it).
    by : str
        For one of several settings: the field beside it whose values, in their order, choose among them.
    choices : mapping
        Titles of the values that there are to choose from.
    only : mapping
        Fields, or facts about them that a form knows (the kind of the chosen model), with the values for which this
        setting means anything.
    of_image : bool
        Whether it belongs to the image at hand, so that forms do not remember it.
    **bounds
        Bounds as `pydantic.Field` takes them.
    """
    given = {"unit": unit, "group": group, "field": field, "by": by, "choices": choices, "only": only}
    extra: Any = {name: value for name, value in (*given.items(), ("of_image", of_image)) if value}
    return Field(default, title=title or None, description=description, json_schema_extra=extra or None, **bounds)


def configure(kind: type[SettingsT], config: object, fields: Mapping[str, Any]) -> SettingsT:
    """Lay fields over settings or a mapping of them, or over the defaults.

    Raises
    ------
    GanDenoiseError
        If they are no settings, or a value is not allowed, in one sentence.
    """
    if isinstance(config, Settings):
        given: Mapping[str, Any] = config.model_dump()
    elif config is None or isinstance(config, Mapping):
        given = config or {}
    else:
        wanted = f"a {kind.__name__} or a mapping of its fields"
        raise GanDenoiseError(f"The settings must be {wanted}, not {in_short(config)}.")
    try:
        return kind.model_validate({**given, **fields})
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def _as_text(value: Any) -> Any:
    return fspath(value) if isinstance(value, PathLike) else value


def _not_empty(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty, which would stand for the folder at hand")
    return value


LARGEST_SEED = 2**63 - 1  # that every source of random numbers takes
FolderPath = Annotated[Path, BeforeValidator(_not_empty)]
ModelName = Annotated[str, BeforeValidator(_as_text)]  # a path may come as one
Device = Literal["auto", "cpu", "cuda"]
Pose = Literal["oriented", "upright"]
Intensity = Literal["template", "absolute", "standard"]
