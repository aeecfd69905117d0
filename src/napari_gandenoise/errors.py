"""The one error a user is meant to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["GanDenoiseError"]


class GanDenoiseError(ValueError):
    """Something the user can put right: one sentence that says what was wrong and what to do.

    The command line prints it, the widgets show it as a notification; anything else that is raised is a bug.
    """

    @classmethod
    def from_validation(cls, error: ValidationError) -> GanDenoiseError:
        """Put the first complaint of a pydantic model into one sentence.

        Parameters
        ----------
        error : pydantic.ValidationError
            What a config or a noise model raised.

        Returns
        -------
        GanDenoiseError
            For instance ``gain: input should be greater than 0, not -1.``
        """
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or error.title
        what = first["msg"].removeprefix("Value error, ")
        return cls(f"{field}: {what[:1].lower()}{what[1:]}, not {first['input']!r}.")
