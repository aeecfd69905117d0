"""The panels in napari, and what a console needs of them: the only room that imports Qt or napari.

The names resolve on first use, so that reading the plugin manifest does not load Qt.  They are listed in
``__init__.pyi``, and nowhere else.
"""

from __future__ import annotations

from lazy_loader import attach_stub

_attached, __dir__, __all__ = attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    try:
        return _attached(name)
    except ImportError as error:
        # Of what is not declared as a dependency: napari, and the binding of Qt that qtpy looks for.
        if (error.name or "").partition(".")[0] == "napari" or type(error).__name__ == "QtBindingsNotFoundError":
            raise ModuleNotFoundError(
                "The panels need napari and Qt, which are not installed: pip install 'napari-gandenoise[all]'.",
                name=error.name,
            ) from error
        raise
