"""YAML from anywhere: plain values and nothing else, so that a few bytes stay a few bytes.

An alias can make a list of a thousand million entries of three hundred bytes, a tag can make something else than the
text says, and a date is what nobody means who names a model 2024-06-01.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import Node, ScalarNode

from napari_gandenoise.errors import GanDenoiseError, in_short

__all__ = ["LARGEST", "read_mapping"]

SHORTEST = 40  # characters of a word that a line shows
LARGEST = 500_000  # bytes: thousands of inputs by name
DEEPEST = 30  # parts in parts
TAG = "tag:yaml.org,2002:"
KINDS = {None, *(TAG + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map"))}
LONGEST = {f"{TAG}int": 18, f"{TAG}float": 40}  # digits: all of 64 bits, and more than a float tells apart


class _Loader(yaml.SafeLoader):
    """Mappings, lists, words and numbers."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = in_short(self.peek_event().anchor, SHORTEST)  # type: ignore[no-untyped-call]
            self._refuse(f"*{alias} is an alias of what stands elsewhere: write the value out in full")
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"parts in parts, more than {DEEPEST} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: ScalarNode | Any) -> Any:
        value = super().construct_scalar(node)
        if len(value) > LONGEST.get(node.tag, LARGEST):
            raise ValueError(f"a number of {len(value)} digits")
        if "\0" in value or value.encode(errors="ignore").decode() != value:
            raise ValueError("a character that no name of a file can hold")
        return value

    def _refuse(self, what: str) -> None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        raise yaml.MarkedYAMLError(problem=what, problem_mark=mark)


_Loader.yaml_constructors = {tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag in KINDS}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, word) for tag, word in known if tag != f"{TAG}timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_mapping(text: str, name: str) -> dict[str, Any]:
    """Read the fields of settings from text.

    Parameters
    ----------
    text : str
        YAML of plain values.
    name : str
        What to call it: the path of its file.

    Raises
    ------
    GanDenoiseError
        If it is none, or holds no mapping.
    """
    if len(text) > LARGEST:
        raise GanDenoiseError(f"{name} is too long for settings, which have {LARGEST:,} characters at most.")
    try:
        fields = yaml.load(text, _Loader)  # less than the safe loader makes
    except Exception as error:  # a number or a word that is none can make PyYAML fail in any way
        raise GanDenoiseError(f"{name} is not a YAML file of settings: {_complaint(error)}.") from None
    if not isinstance(fields, dict) or not all(isinstance(field, str) for field in fields):
        raise GanDenoiseError(f"{name} must hold a mapping of fields, like `preset: fast`.")
    return fields


def _complaint(error: Exception) -> str:
    """Say what is wrong and in which line; PyYAML says it in several, with pieces of the text."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return in_short(error)
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    # A pattern of files, such as *.tif, begins as an alias does.
    if error.context in ("while scanning an alias", "while scanning an anchor"):
        return f"{place}a word that begins with * or & needs quotes around it"
    return place + in_short(" ".join(part for part in (error.context, error.problem) if part))
