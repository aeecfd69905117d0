"""Walking the fields of settings: variants, conditions, defaults."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic_core import PydanticUndefined

from napari_gandenoise.settings.base import Settings, setting
from napari_gandenoise.settings.fields import applies, nested, value_at, walk


class Round(Settings):
    kind: Literal["round"] = "round"
    radius: float = setting(..., "Radius.", unit="nm")
    colour: str = setting("red", "Colour of the disk.")
    edge: int = setting(1, "Edge.")


class Square(Settings):
    kind: Literal["square"] = "square"
    colour: str = setting("red", "Colour of the square.")
    edge: int = setting(2, "Edge.")


class Picture(Settings):
    shape: Annotated[Round | Square, Field(discriminator="kind")] = setting(Square(edge=5), group="Shapes")
    hidden: Round | None = setting(None, field="noise")
    big: bool = setting(False, only={"shape.kind": ("round",), "weather": ("fine",)})


LEAVES = {(leaf.dotted, str(leaf.when)): leaf for leaf in walk(Picture)}


def leaves(dotted):
    return [leaf for leaf in LEAVES.values() if leaf.dotted == dotted]


def test_the_kind_of_several_settings_is_chosen_by_a_field_of_its_own():
    [kind] = leaves("shape.kind")
    assert list(kind.choices) == ["round", "square"]
    # It stands in front of the group of what it chooses among.
    assert (kind.default, kind.required, kind.group) == ("square", False, "")
    assert {leaf.group for leaf in leaves("shape.colour")} == {"Shapes"}


def test_what_variants_have_alike_comes_once_and_says_both():
    [colour] = leaves("shape.colour")
    assert colour.info.description == "Colour of the disk. / Colour of the square."
    assert colour.when == ({"shape.kind": ("round",)}, {"shape.kind": ("square",)})


def test_variants_with_other_defaults_are_fields_of_their_own():
    assert [(leaf.when[0]["shape.kind"], leaf.default) for leaf in leaves("shape.edge")] == [
        (("round",), 1),
        (("square",), 5),
    ]


def test_what_is_absent_has_no_defaults_but_may_require():
    [radius], [edge] = leaves("hidden.radius"), leaves("hidden.edge")
    assert (radius.required, radius.default, radius.unit) == (True, None, "nm")
    assert (edge.required, edge.default) == (False, None)
    assert [leaf.default for leaf in leaves("shape.radius")] == [PydanticUndefined]


def test_options_are_dotted_or_stand_beside_those_of_the_whole():
    assert leaves("shape.edge")[0].option == "--shape.edge"
    assert leaves("hidden.edge")[0].option == "--edge"


@pytest.mark.parametrize(("config", "means"), [(Picture(), False), (Picture(shape=Round(radius=1)), True)])
def test_conditions_ask_the_fields_and_leave_other_facts_alone(config, means):
    [big] = leaves("big")
    assert applies(big, config) is means


def test_a_list_of_fields_can_be_changed_without_harm():
    walk(Picture).clear()
    assert walk(Picture)


def test_values_lie_under_their_paths():
    fields = nested({("a", "b"): 1, ("a", "c"): 2, ("d",): 3})
    assert fields == {"a": {"b": 1, "c": 2}, "d": 3}
    assert value_at(fields, ("a", "c")) == 2
    assert value_at(Picture(), ("hidden", "edge")) is None
