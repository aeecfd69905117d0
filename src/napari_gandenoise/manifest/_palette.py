"""What all commands do when the palette calls them bare, and with the settings that a script passes."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["called_bare", "open_panel", "validated"]


def called_bare(panel: str, image: Any, *settings: Any) -> bool:
    """Open a panel if neither image nor settings were given; settings without an image are refused."""
    if image is not None:
        return False
    if any(given is not None for given in settings):
        raise GanDenoiseError("Settings were given but no image: pass the image, or call the command bare.")
    open_panel(panel, "image")
    return True


def open_panel(name: str, wanted: str) -> None:
    """Open a panel of the running napari; without one say which argument was ``wanted``."""
    # A palette can only call this from a running napari, so it is there to be found; importing it is for widgets.
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    if viewer is None:
        raise GanDenoiseError(f"No {wanted} was given and no napari viewer is open: pass one or open the viewer.")
    dock, _ = viewer.window.add_plugin_dock_widget("napari-gandenoise", name)
    dock.show()
    dock.raise_()


def validated(kind: Any, config: Any) -> Any:
    """Make the config that a mapping describes."""
    try:
        return kind.model_validate(config or {})
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None
