"""What a panel remembers from one session to the next."""

from __future__ import annotations

import logging
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from qtpy.QtCore import QObject, QSettings, Signal

__all__ = ["News", "news", "recall", "remember"]

Values = TypeVar("Values", bound=BaseModel)
_log = logging.getLogger(__name__)


class News(QObject):
    """What one panel tells the others.

    Signals
    -------
    remembered : str
        The values of the panel of this name were stored.
    """

    remembered = Signal(str)


news = News()


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-gandenoise", "panels")


def remember(panel: str, values: BaseModel) -> None:
    """Store the values of a panel for the next time it opens."""
    _settings().setValue(panel, values.model_dump_json())
    news.remembered.emit(panel)


def recall(panel: str, kind: type[Values]) -> Values:
    """Return the values stored for a panel, or the defaults of ``kind`` if there are none that it understands."""
    stored = _settings().value(panel)
    if not isinstance(stored, str):
        return kind()
    try:
        return kind.model_validate_json(stored)
    except ValidationError:
        _log.info("The stored values of the panel %s are from another version; starting with defaults.", panel)
        return kind()
