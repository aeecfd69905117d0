"""Which files napari opens with this plugin without asking: those that no other program writes."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["PATTERNS", "prefer_own"]

PLUGIN = "napari-gandenoise"
PATTERNS = (
    "*.micrograph.ome.tif",
    *(f"*-{product}.ome.{form}" for product in ("denoised", "uncertainty", "fit-map") for form in ("tif", "zarr")),
)


def prefer_own(_context: Any = None) -> None:
    """Tell napari to open our own files with this plugin, where the user has not told it otherwise.

    napari itself opens them, too, without their pixel size, and therefore asks.  What is set here shows in
    *Preferences ▸ Plugins*.
    """
    if "napari" not in sys.modules:  # a script without a viewer
        return
    from napari.settings import get_settings

    plugins = get_settings().plugins
    missing = {pattern: PLUGIN for pattern in PATTERNS if pattern not in plugins.extension2reader}
    if missing:
        plugins.extension2reader = {**plugins.extension2reader, **missing}
