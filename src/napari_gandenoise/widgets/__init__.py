"""The panels in napari: the only room that imports Qt or napari.

The panels resolve on first use, so that reading the plugin manifest does not load Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_gandenoise.widgets.denoise import DenoiseWidget

__all__ = ["DenoiseWidget"]


def __getattr__(name: str) -> Any:
    """Import a panel when it is first asked for (PEP 562)."""
    if name == "DenoiseWidget":
        from napari_gandenoise.widgets.denoise import DenoiseWidget

        return DenoiseWidget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
