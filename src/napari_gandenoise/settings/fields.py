"""The fields of settings, one by one, however deep they lie: what forms, options, snippets and the reference walk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from napari_gandenoise.settings.base import Settings

__all__ = ["Leaf", "applies", "nested", "value_at", "walk"]

BOTH = " / "  # between what two variants say of a field that they have alike
# What has to hold for a field to mean anything: of fields (dotted names) or facts, the values that are allowed.
Condition = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Leaf:
    """A field that has no fields of its own, or is not to be taken apart.

    Attributes
    ----------
    path : tuple of str
        Names from the outermost settings to the field.
    info : pydantic.fields.FieldInfo
        What pydantic knows of it.
    kind : type
        Its type, without ``None``.
    optional : bool
        Whether it may be ``None``.
    group : str
        Folded part of a form that it stands in; none: it is in front.
    when : tuple of mapping
        Conditions, any one of which must hold for the field to mean anything; none: it always does.
    flat : bool
        Whether options call it by its last name alone.
    default : object
        Its default; `pydantic_core.PydanticUndefined` if it is required, None if all that it is part of is absent.
    """

    path: tuple[str, ...]
    info: FieldInfo
    kind: Any
    optional: bool
    group: str
    when: tuple[Condition, ...]
    flat: bool
    default: Any

    @property
    def dotted(self) -> str:
        """Its name in messages and conditions: ``structure.metals``."""
        return ".".join(self.path)

    @property
    def option(self) -> str:
        """Its name as an option of a command: ``--structure.metals``, ``--pixel-size``; none if others tell it."""
        if self.flat and self.path[-1] == "kind":
            return ""
        path = self.path[-1:] if self.flat else self.path
        return "--" + ".".join(path).removesuffix("_nm").replace("_", "-")

    @property
    def title(self) -> str:
        """Label in a form."""
        return self.info.title or self.path[-1].removesuffix("_nm").replace("_", " ").capitalize()

    @property
    def unit(self) -> str:
        """Unit of the number."""
        return str(self._extra.get("unit", ""))

    @property
    def field(self) -> str:
        """Special widget or way of typing that it needs; none as a rule."""
        return str(self._extra.get("field", ""))

    @property
    def of_image(self) -> bool:
        """Whether it belongs to the image at hand."""
        return bool(self._extra.get("of_image", False))

    @property
    def choices(self) -> dict[Any, str]:
        """Titles of the values that there are to choose from."""
        given = self._extra.get("choices")
        values = get_args(self.kind) if get_origin(self.kind) is Literal else ()
        return dict(given) if given else {value: str(value) for value in values}

    @property
    def required(self) -> bool:
        """Whether it has no default; of something absent by default, whether it has none once that is there."""
        return self.info.is_required() and not self.optional and self.default in (None, PydanticUndefined)

    @property
    def _extra(self) -> dict[str, Any]:
        extra = self.info.json_schema_extra
        return extra if isinstance(extra, dict) else {}


def walk(model: type[Settings], whole: Collection[str] = ()) -> list[Leaf]:
    """List the fields of settings; those that several variants have alike come once.

    Parameters
    ----------
    model : type of Settings
        Whose fields.
    whole : collection of str
        Special fields (`Leaf.field`) that are not taken apart.

    Returns
    -------
    list of Leaf
        In the order of the model.
    """
    return list(_walked(model, frozenset(whole)))


@cache
def _walked(model: type[Settings], whole: frozenset[str]) -> list[Leaf]:
    found: list[Leaf] = []
    for leaf in _walk(model, (), "", (), False, whole, model):
        place = next((i for i, other in enumerate(found) if _alike(leaf, other)), None)
        if place is None:
            found.append(leaf)
        else:
            found[place] = _both(found[place], leaf)
    return found


def _walk(
    model: type[Settings],
    path: tuple[str, ...],
    group: str,
    when: tuple[Condition, ...],
    flat: bool,
    whole: Collection[str],
    defaults: Any,
) -> Iterator[Leaf]:
    for name, info in model.model_fields.items():
        if name == "kind" and path:
            continue  # the field that chooses has been made of those of all variants
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        kind, optional = _without_none(info.annotation)
        default = info.get_default() if isinstance(defaults, type) else getattr(defaults, name, None)
        conditions = _all(when, _rooted(extra.get("only", {}), model, path))
        place, below = (*path, name), str(extra.get("group") or group)
        members = [part for part in (get_args(kind) if _is_union(kind) else (kind,)) if _is_settings(part)]
        if not members or extra.get("field") in whole:
            yield Leaf(place, info, kind, optional, below, conditions, flat, default)
            continue
        beside = flat or extra.get("field") in ("flat", "noise")
        chosen_by, variants = _variants(model, members, path, name, extra)
        if chosen_by[:-1] == place:
            # What chooses stands in front of the group of what it chooses among.
            yield Leaf(chosen_by, _chooser(info, variants), str, optional, group, conditions, beside, _kind(default))
        for member, values in zip(members, variants, strict=True):
            inside = _all(conditions, {".".join(chosen_by): values}) if len(members) > 1 else conditions
            of = default if default is None or isinstance(default, member) else member
            yield from _walk(member, place, below, inside, beside, whole, of)


def _variants(
    owner: type[Settings], members: list[type[Settings]], path: tuple[str, ...], name: str, extra: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the path of the field that chooses among settings, and the values that stand for each of them."""
    if by := extra.get("by"):
        return (*path, by), [(value,) for value in get_args(owner.model_fields[by].annotation)]
    if len(members) == 1:
        return (), [()]
    return (*path, name, "kind"), [get_args(member.model_fields["kind"].annotation) for member in members]


def _chooser(info: FieldInfo, variants: list[tuple[Any, ...]]) -> FieldInfo:
    """Describe the field that chooses among several settings."""
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    titles: Any = extra.get("choices") or {value: str(value) for values in variants for value in values}
    made: FieldInfo = Field(..., title=info.title, description=info.description, json_schema_extra={"choices": titles})
    return made


def _kind(default: Any) -> Any:
    return getattr(default, "kind", PydanticUndefined if default is PydanticUndefined else None)


def _rooted(only: Any, owner: type[Settings], path: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    """Name the fields of conditions from the outermost settings on; facts stay as they are."""
    known = owner.model_fields
    return {".".join((*path, name)) if name.partition(".")[0] in known else name: v for name, v in only.items()}


def _all(when: tuple[Condition, ...], own: Condition) -> tuple[Condition, ...]:
    """Add to conditions one that must hold as well."""
    return tuple({**condition, **own} for condition in when or ({},)) if own else when


def _alike(leaf: Leaf, other: Leaf) -> bool:
    same = leaf.path == other.path and leaf.field == other.field and leaf.choices.keys() == other.choices.keys()
    same = same and leaf.kind == other.kind and leaf.info.metadata == other.info.metadata
    return same and bool(leaf.default == other.default)


def _both(leaf: Leaf, other: Leaf) -> Leaf:
    """Make one of a field that two variants have alike; what they say of it stands one after the other."""
    info = copy(leaf.info)
    said = f"{leaf.info.description}{BOTH}{other.info.description}"
    info.description = BOTH.join(dict.fromkeys(said.split(BOTH)))
    return replace(leaf, info=info, when=(*leaf.when, *other.when) if leaf.when and other.when else ())


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type without ``None`` and without annotations, and whether ``None`` was among its values."""
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if _is_union(annotation) and NoneType in get_args(annotation):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        kind = rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - of parts that are known only now
        return _without_none(kind)[0], True
    return annotation, False


def applies(leaf: Leaf, config: Settings) -> bool:
    """Return whether a field means anything, as far as other fields tell; what only forms know is not asked."""
    own = type(config).model_fields
    return not leaf.when or any(
        all(
            value_at(config, tuple(name.split("."))) in values
            for name, values in condition.items()
            if name.partition(".")[0] in own
        )
        for condition in leaf.when
    )


def nested(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Put values under their paths into dictionaries within dictionaries."""
    fields: dict[str, Any] = {}
    for path, value in values.items():
        part = fields
        for name in path[:-1]:
            part = part.setdefault(name, {})
        part[path[-1]] = value
    return fields


def value_at(config: Any, path: tuple[str, ...]) -> Any:
    """Return the value of a field of settings, or of such dictionaries, by its path; None where another variant is."""
    for name in path:
        config = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
    return config
