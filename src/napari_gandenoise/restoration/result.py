"""What restoration returns, and the layers it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.layers import LayerData, contrast_limits, image_layer
from napari_gandenoise.settings.restore import DONE

__all__ = ["RestoreResult"]


@dataclass(frozen=True)
class RestoreResult:
    """A restored image.

    Attributes
    ----------
    image : ndarray
        Restored image, float32, in the units of the input; super-resolve: ``factor`` times as large.
    drawn : ndarray
        What the generator drew, tiles blended, before it is made to fit the input exactly; shape and units of `image`.
    latents : ndarray
        ``(tiles, d)``.
    report : dict
        Provenance and figures, ready for JSON: "config", "model", "model_sha256", "pixel_size_nm", "white", "tiles",
        "steps", "loss", "seconds", "seed", "warnings", "versions".
    pixel_size_nm : float or None
        Pixel size of `image`, nm; None if nobody knows it, as of a photograph.
    name : str
        Name of the input.
    colours : bool
        Whether the last axis of `image` is colours.
    aspect : float
        Height of a pixel over its width.
    """

    image: NDArray[np.float32]
    drawn: NDArray[np.float32]
    latents: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    colours: bool = False
    aspect: float = 1.0

    @property
    def axes(self) -> str:
        """Meaning of the axes of the image: YX, TYX or YXS."""
        return "YXS" if self.colours else "TYX" if self.image.ndim == 3 else "YX"

    def summary(self) -> str:
        """One line: what was done, and how close the generator came to the input."""
        return f"{DONE[self.report['config']['task']]}: {self.report['outcome']}"

    def to_layer_data(self) -> LayerData:
        """Return data, keyword arguments and type of a napari layer of the restored image."""
        return self.to_layers()[0]

    def to_layers(self, drawn: bool = False) -> list[LayerData]:
        """Return the layers of the result: the restored image, and if asked for what the generator drew."""
        done = DONE[self.report["config"]["task"]]
        layers = [self._layer(self.image, f"{done} ({self.report['model']})")]
        return [*layers, self._layer(self.drawn, "drawn")] if drawn else layers

    def _limits(self) -> tuple[float, float]:
        """Contrast limits that show what was drawn: single electrons beside it would leave it an even grey."""
        return (0.0, self.report["white"]) if self.colours else contrast_limits(self.drawn)

    def _layer(self, pixels: NDArray[np.float32], what: str) -> LayerData:
        return image_layer(
            pixels,
            f"{self.name} · {what}" if self.name else what,
            self.report,
            pixel_size_nm=self.pixel_size_nm,
            aspect=self.aspect,
            limits=self._limits(),
            colours=self.colours,
            finer=self.report["factor"],
        )
