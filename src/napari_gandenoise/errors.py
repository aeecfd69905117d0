"""The one error a user is meant to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

__all__ = ["GanDenoiseError", "in_short"]

LONGEST = 2000  # characters of a sentence: room for the longest path
SHORT = 200  # of what a library says


def in_short(what: object, longest: int = SHORT) -> str:
    """Put anything into part of a line: without line breaks and what moves a terminal's cursor, cut where too long."""
    try:
        said = str(what)
    except ValueError:  # Python does not write integers of thousands of digits
        said = f"a {type(what).__name__} of thousands of digits"
    line = " ".join(said[: 4 * longest].split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= longest else f"{line[:longest]}…"


class GanDenoiseError(ValueError):
    """Something the user can put right: one sentence that says what was wrong and what to do.

    The command line prints it, the widgets show it as a notification; anything else that is raised is a bug.  Files
    can put what they like into a sentence, but only so much of it.
    """

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence if len(sentence) <= LONGEST else in_short(sentence, LONGEST))

    @classmethod
    def from_validation(
        cls, error: ValidationError, name_of: Callable[[tuple[str, ...]], str] = ".".join
    ) -> GanDenoiseError:
        """Put the first complaint of a pydantic model into one sentence.

        Parameters
        ----------
        error : pydantic.ValidationError
            What a config or a noise model raised.
        name_of : callable, optional
            Says what the user calls the field with this path; by default its names with points between them.

        Returns
        -------
        GanDenoiseError
            For instance ``gain: input should be greater than 0, not -1.``
        """
        first = error.errors()[0]
        field = in_short(name_of(tuple(in_short(part) for part in first["loc"])))
        what = in_short(first["msg"].removeprefix("Value error, "), LONGEST).removesuffix(".")
        if not field:
            return cls(f"{what}.")
        # What is missing has no value, and that of a whole group of fields is too long for a sentence.
        short = first["type"] != "missing" and not isinstance(first["input"], dict)
        got = f", not {_written(first['input'])}" if short else ""
        return cls(f"{field}: {what[:1].lower()}{what[1:]}{got}.")


def _written(value: object) -> str:
    try:
        return in_short(repr(value))
    except ValueError:  # as in `in_short`
        return in_short(value)
