"""The one error a user is meant to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

__all__ = ["GanDenoiseError"]


class GanDenoiseError(ValueError):
    """Something the user can put right: one sentence that says what was wrong and what to do.

    The command line prints it, the widgets show it as a notification; anything else that is raised is a bug.
    """

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
        field = name_of(tuple(str(part) for part in first["loc"]))
        what = first["msg"].removeprefix("Value error, ").removesuffix(".")
        if not field:
            return cls(f"{what}.")
        # What is missing has no value, and that of a whole group of fields is too long for a sentence.
        short = first["type"] != "missing" and not isinstance(first["input"], dict)
        got = f", not {first['input']!r}" if short else ""
        return cls(f"{field}: {what[:1].lower()}{what[1:]}{got}.")
