"""What panels remember from one session to the next: the settings that were changed, and the panel's own choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import QObject, QSettings, Signal

__all__ = ["Memory", "News", "news", "recall", "remember"]


@dataclass(frozen=True)
class Memory:
    """What a panel remembers.

    Attributes
    ----------
    settings : dict
        Settings that were changed, as a YAML file holds them.
    own : dict
        What else the panel keeps.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)


class News(QObject):
    """What one panel tells the others.

    Signals
    -------
    remembered : str
        The values of the panel of this name were stored.
    """

    remembered = Signal(str)


news = News()


def _store() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-gandenoise", "panels")


def remember(panel: str, settings: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Store the values of a panel for the next time it opens."""
    _store().setValue(panel, json.dumps(asdict(Memory(dict(settings), dict(own))), default=_plain))
    news.remembered.emit(panel)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def recall(panel: str) -> Memory:
    """Return the values stored for a panel; none if there are none, or those of another version."""
    try:
        stored = json.loads(str(_store().value(panel)))
        return Memory(dict(stored["settings"]), dict(stored["own"]))
    except (ValueError, TypeError, KeyError):
        return Memory()
