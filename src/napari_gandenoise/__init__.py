"""Denoise electron micrographs in the latent space of a GAN, under the counting statistics of the detector.

The public names resolve on first use: importing the package alone loads neither torch nor napari nor Qt.  They are
listed in ``__init__.pyi``, and nowhere else.
"""

from __future__ import annotations

from lazy_loader import attach_stub

_attached, __dir__, __all__ = attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # it alone takes as long as all of the above

        return version("napari-gandenoise")
    return _attached(name)
