"""The panels in napari, and what a console needs of them: the only room that imports Qt or napari.

The panels resolve on first use, so that reading the plugin manifest does not load Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_gandenoise.widgets.batch import BatchWidget
    from napari_gandenoise.widgets.columns import ColumnsWidget
    from napari_gandenoise.widgets.compare import CompareWidget
    from napari_gandenoise.widgets.denoise import DenoiseWidget
    from napari_gandenoise.widgets.restore import RestoreWidget
    from napari_gandenoise.widgets.simulate import SimulateWidget
    from napari_gandenoise.widgets.train import TrainWidget
    from napari_gandenoise.widgets.viewer.mask import mask_of
    from napari_gandenoise.widgets.workbench import Workbench

__all__ = [
    "BatchWidget",
    "ColumnsWidget",
    "CompareWidget",
    "DenoiseWidget",
    "RestoreWidget",
    "SimulateWidget",
    "TrainWidget",
    "Workbench",
    "mask_of",
]

_MODULE_OF = {
    "BatchWidget": "batch",
    "ColumnsWidget": "columns",
    "CompareWidget": "compare",
    "DenoiseWidget": "denoise",
    "RestoreWidget": "restore",
    "SimulateWidget": "simulate",
    "TrainWidget": "train",
    "Workbench": "workbench",
    "mask_of": "viewer.mask",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    except ImportError as error:
        # Of what is not declared as a dependency: napari, and the binding of Qt that qtpy looks for.
        if (error.name or "").partition(".")[0] == "napari" or type(error).__name__ == "QtBindingsNotFoundError":
            raise ModuleNotFoundError(
                "The panels need napari and Qt, which are not installed: pip install 'napari-gandenoise[all]'.",
                name=error.name,
            ) from error
        raise
