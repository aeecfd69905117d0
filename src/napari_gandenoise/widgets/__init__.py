"""The panels in napari: the only room that imports Qt or napari.

The panels resolve on first use, so that reading the plugin manifest does not load Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_gandenoise.widgets.denoise import DenoiseWidget
    from napari_gandenoise.widgets.simulate import SimulateWidget
    from napari_gandenoise.widgets.train import TrainWidget

__all__ = ["DenoiseWidget", "SimulateWidget", "TrainWidget"]

_MODULE_OF = {"DenoiseWidget": "denoise", "SimulateWidget": "simulate", "TrainWidget": "train"}


def __getattr__(name: str) -> Any:
    """Import a panel when it is first asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
