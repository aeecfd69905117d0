"""What a training run generates, as a layer of the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_gandenoise.settings.train import AnyTrainConfig
from napari_gandenoise.training import TrainPreview
from napari_gandenoise.widgets.plots.sample_grid import mosaic

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["SamplesLayer"]


class SamplesLayer:
    """One layer that follows a run.

    Parameters
    ----------
    viewer : ViewerModel
        Where it is shown.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Image | None = None

    def show(self, preview: TrainPreview, name: str, config: AnyTrainConfig | None) -> bool:
        """Show generated tiles; return False, once, after the user has removed the layer.

        Parameters
        ----------
        preview : TrainPreview
            The tiles.
        name : str
            What to call them if there is no config.
        config : TrainConfig or DirectTrainConfig, optional
            The run they belong to.
        """
        pixels = mosaic(preview.samples)
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer = None
            return False
        if self._layer is not None and self._layer.data.shape == pixels.shape:
            self._layer.data = pixels
            return True
        options: dict[str, Any] = {"name": f"{config.name if config else name} · samples", "rgb": pixels.ndim == 3}
        if config is not None:
            options["metadata"] = {"napari-gandenoise": {"training": config.model_dump(mode="json")}}
            if config.pixel_size_nm is not None:
                options |= {"scale": (config.pixel_size_nm,) * 2, "units": ("nm", "nm")}
        if pixels.ndim == 2:
            options["contrast_limits"] = (0.0, 1.0)
        self._layer = self._viewer.add_image(pixels, **options)
        return True
