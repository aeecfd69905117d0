"""Restoration by constrained generation: what a generator draws, measured as the image was, shall be the image.

Yeh, Lim, Chen, Schwing, Hasegawa-Johnson, Do, "Image restoration with deep generative models" (ICASSP 2018); for holes
before that Yeh et al., "Semantic image inpainting with deep generative models" (CVPR 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_gandenoise.progress import Steps, drain

__all__ = ["RestoreConfig", "RestoreResult", "Task", "restore", "restore_steps"]

Task = Literal["inpaint", "colorize", "super-resolve", "denoise", "dequantize"]


class RestoreConfig(BaseModel):
    """How to restore: the widget's fields, the CLI's options, the YAML file and the provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task = Field(description="What is missing: inpaint, colorize, super-resolve, denoise or dequantize.")
    model: str = Field("hrtem", description="Name of a bundled model, or path of a model file.")
    pixel_size_nm: float | None = Field(
        None, gt=0, description="Pixel size of the input, nm, for models of micrographs; by default the image's own."
    )
    factor: Literal[2, 4] = Field(2, description="super-resolve: how many times as many pixels along a side.")
    levels: int = Field(5, ge=2, le=256, description="dequantize: levels a channel of the input, black and white too.")
    norm: float = Field(1.0, ge=1, le=2, description="The power p of the data term.")
    realism: float | None = Field(
        None,
        ge=0,
        description="Weight of what the discriminator says (lambda); by default the paper's where the model holds one.",
    )
    prior: float = Field(0.1, ge=0, description="Weight of the latents' negative log prior.")
    restarts: int = Field(4, ge=1, le=64, description="Starts of each tile, the best of which goes on.")
    steps: int = Field(200, ge=1, description="Gradient steps of each tile.")
    seed: int = Field(0, ge=0, description="Seed of the random starts.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")
    white: float | None = Field(
        None,
        gt=0,
        description="Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    )
    poisson_blending: bool = Field(
        True, description="inpaint: keep what is drawn in the hole continuous with what is around it."
    )


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
        "steps", "loss", "realism", "seconds", "seed", "warnings", "versions".
    pixel_size_nm : float or None
        Pixel size of `image`, nm; None if nobody knows it, as of a photograph.
    name : str
        Name of the input.
    colours : bool
        Whether the last axis of `image` is colours.
    """

    image: NDArray[np.float32]
    drawn: NDArray[np.float32]
    latents: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    colours: bool = False

    @property
    def axes(self) -> str:
        """Meaning of the axes of the image: YX, TYX or YXS."""
        return "YXS" if self.colours else "TYX" if self.image.ndim == 3 else "YX"

    def summary(self) -> str:
        """One line: what was done, how close it is to the input."""
        raise NotImplementedError

    def to_layer_data(self) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        """Return data, keyword arguments and type of a napari layer of the restored image."""
        return self.to_layers()[0]

    def to_layers(self, drawn: bool = False) -> list[tuple[NDArray[np.float32], dict[str, Any], str]]:
        """Return the layers of the result: the restored image, and if asked for what the generator drew."""
        raise NotImplementedError


def restore_steps(
    image: Any, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any
) -> Steps[RestoreResult]:
    """Restore as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, mask, **fields
        As for `restore`.

    Yields
    ------
    Progress
        Stages "start", "brief", "refine" and "blend"; the preview is the image so far, float32, of the result's shape,
        in the input's units.  Micrographs: the stages of `denoise_steps`.

    Returns
    -------
    RestoreResult
        What `restore` returns.
    """
    raise NotImplementedError


def restore(image: Any, config: RestoreConfig | None = None, *, mask: Any = None, **fields: Any) -> RestoreResult:
    """Restore an image: fill holes, add colours, pixels or grey levels, take noise away.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)``, or ``(Y, X, C)`` for a model of colours.
    config : RestoreConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``restore(image, task="inpaint", mask=mask)``.
    mask : array, path or napari layer, optional
        ``(Y, X)``, for inpaint: what is not zero is missing and will be drawn.

    Returns
    -------
    RestoreResult
        The restored image in the input's units, and the report.

    Raises
    ------
    GanDenoiseError
        If the image, the mask or the settings do not fit, in one sentence.
    """
    return drain(restore_steps(image, config, mask=mask, **fields))
