"""What denoising returns: the rate, its maps, and the layers they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.denoising.drift import COLUMNS
from napari_gandenoise.denoising.verdict import UNASKED, Verdict
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import write_result
from napari_gandenoise.layers import LayerData, contrast_limits, image_layer, placement

if TYPE_CHECKING:
    from napari_gandenoise.denoising.adaptation import Adaptation

__all__ = ["DenoiseResult"]

OUTLINES = {"put in": "red", "left out": "orange", "doubtful": "yellow"}


@dataclass(frozen=True)
class DenoiseResult:
    """A denoised micrograph.

    Attributes
    ----------
    rate : ndarray
        Denoised image, shape and units of the input (without an alpha channel); float32, or float64 where that would
        lose single electrons above a large offset.
    fit_map : ndarray
        Misfit of each neighbourhood in standard deviations of counting noise.  Colours are pooled.
    residual : ndarray
        Input minus rate.
    latents : list of ndarray
        ``(tiles, d)`` for each frame.
    tile_log_likelihood : ndarray
        ``(frames, tiles)``, nats gained over a flat tile.
    report : dict
        Provenance and figures, ready for JSON.
    pixel_size_nm : float or None
        Pixel size, nm; None if nobody knows it, as of a photograph.
    name : str
        Name of the input.
    uncertainty : ndarray or None
        Standard error of the rate in its units, shape of the fit map; None unless the config asks for samples or
        replicates.  Colours are pooled.
    missing : ndarray of bool or None
        Where pixels were left out and the rate is drawn, shape of the fit map; None if nowhere.
    aspect : float
        Height of a pixel over its width.
    adaptation : Adaptation or None
        The model as it was adapted to the image, if it was to be; its ``save`` keeps it for others of the kind.
    verdict : Verdict
        What the counts say of it, and which regions are to be looked at.
    samples : ndarray or None
        ``(n, Y, X)`` or ``(n, Y, X, C)``: what the image could be, given its counts, in the rate's units; None unless
        the config asks for them, and of a movie.
    """

    rate: NDArray[Any]
    fit_map: NDArray[np.float32]
    residual: NDArray[np.float32]
    latents: list[NDArray[np.float32]]
    tile_log_likelihood: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    uncertainty: NDArray[np.float32] | None = None
    missing: NDArray[np.bool_] | None = None
    aspect: float = 1.0
    adaptation: Adaptation | None = None
    verdict: Verdict = UNASKED
    samples: NDArray[np.float32] | None = None

    def summary(self) -> str:
        """One line of trust, and why the model was chosen if nobody named it."""
        if len(self.report["defects"]["kept"]) == self.report["frames"]:
            return "no noise was found: left as it is"
        share = self.report["residual_share"]
        stepped = self.report["config"]["residual_step"]
        added = f"residual step added {100 * share:.0f} %" if stepped else "no residual step"
        over = float((self.fit_map > self.report["fit_threshold"]).mean())
        where = f"{max(100 * over, 0.1):.1f} % of the area" if over > 0 else "no region"
        figures = f"deviance {self.report['deviance']:.2f}; {added}; {where} above the fit threshold"
        tuned = f"; {self.report['adaptation']['sentence']}" if self.report["adaptation"] else ""
        chosen = f". {self.report['choice']}" if self.report["choice"] else ""
        return f"{self.report['verdict']['sentence']}: {figures}{tuned}{chosen}"

    def at_intensity(self, intensity: float) -> DenoiseResult:
        """Blend a full result with its input: ``y = x + I (f(x) - x)``.

        Parameters
        ----------
        intensity : float
            I, from 0 (the input) to 1 (this result).

        Returns
        -------
        DenoiseResult
            With rate, residual and report of that intensity; fit map, uncertainty and samples are those of the
            full result.

        Raises
        ------
        GanDenoiseError
            If it lies outside, or this result is itself a blend.
        """
        if not 0 <= intensity <= 1:
            raise GanDenoiseError(f"The intensity must lie between 0 and 1, got {intensity:g}.")
        if self.report["intensity"] != 1:
            raise GanDenoiseError("Only a full result can be blended: denoise with intensity 1.")
        rate = self.rate + np.float32(1 - intensity) * self.residual
        report = {**self.report, "intensity": intensity, "config": {**self.report["config"], "intensity": intensity}}
        return replace(self, rate=rate, residual=np.float32(intensity) * self.residual, report=report)

    @property
    def drift(self) -> dict[str, NDArray[np.int64]] | None:
        """Where the specimen lies in each frame of a movie: "frame", from 0, "down" and "right".

        Whole input pixels since the first frame; None if each frame was taken for itself.  Written as CSV, it is a
        table that the setting ``drift`` takes.
        """
        steps = np.array(self.report["drift"], np.int64)
        if not len(steps):
            return None
        down, right = (np.cumsum(steps, axis=0) - steps[0]).T
        return dict(zip(COLUMNS, (np.arange(len(steps)), down, right), strict=True))

    def write_drift(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the drift as a CSV file, which the setting ``drift`` takes.

        Parameters
        ----------
        path : path
            Ends in ``.csv``.
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        GanDenoiseError
            If there is none, or it cannot be written.
        """
        if not write_result(path, self, "drift", overwrite=overwrite):
            raise GanDenoiseError("There is no drift to write: each frame was taken for itself.")

    @property
    def axes(self) -> str:
        """Meaning of the axes of the rate: YX, TYX or YXS."""
        return "YXS" if self.rate.ndim > self.fit_map.ndim else "TYX" if self.rate.ndim == 3 else "YX"

    def to_layer_data(self) -> LayerData:
        """Return data, keyword arguments and type of a napari layer of the denoised image."""
        return self.to_layers()[0]

    def to_layers(
        self, fit_map: bool = False, residual: bool = False, missing: bool = False, regions: bool = False
    ) -> list[LayerData]:
        """Return the layers of the result: denoised image, uncertainty if there is one, and what is asked for."""
        wanted = {"samples": True, "uncertainty": True, "fit_map": fit_map, "residual": residual, "missing": missing}
        others = [self.layer_of(name) for name, is_wanted in wanted.items() if is_wanted and self.has(name)]
        return [self.layer_of("rate"), *others, *(self.outlines() if regions else [])]

    def has(self, name: str) -> bool:
        """Say whether there is an image of a name that `layer_of` knows."""
        return getattr(self, name) is not None

    def layer_of(self, name: str) -> LayerData:
        """Return one of the images as a layer of napari: data, keyword arguments and type.

        Parameters
        ----------
        name : {"rate", "samples", "uncertainty", "fit_map", "residual", "missing"}
            Which of them.
        """
        pixels = getattr(self, name)
        if name == "rate":
            limits = (0.0, self.report["white"]) if self.axes == "YXS" else contrast_limits(pixels)
            return self._layer(pixels, "denoised", "gray", limits)
        if name == "samples":
            limits = (0.0, self.report["white"]) if self.axes == "YXS" else contrast_limits(self.rate)
            return self._layer(pixels, "samples", "gray", limits)
        if name == "uncertainty":
            return self._layer(pixels, "uncertainty", "magma", (0.0, contrast_limits(pixels)[1]))
        if name == "fit_map":
            return self._layer(pixels, "fit map", "viridis", (0.0, 1.5 * self.report["fit_threshold"]))
        if name == "missing":
            return self._layer(pixels.astype(np.float32), "left out", "red", (0.0, 1.0))
        spread = 3 * float(pixels.std())
        return self._layer(pixels, "residual", "gray", (-spread, spread))

    def outlines(self) -> list[LayerData]:
        """Outline the regions that the verdict names: a Shapes layer, what is wrong with each among its features."""
        regions, outlines = self.verdict.regions, []
        if not regions:
            return []
        for region in regions:
            top, left, bottom, right = (side - 0.5 for side in region.box)  # of pixels, whose centres are whole numbers
            corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
            time = (region.frame,) if self.axes == "TYX" else ()
            outlines.append(np.array([(*time, *corner) for corner in corners], np.float64))
        options = {
            "name": "to be looked at",
            "metadata": {"napari-gandenoise": self.report},
            "shape_type": "rectangle",
            "edge_color": [OUTLINES[region.kind] for region in regions],
            "face_color": "transparent",
            "edge_width": max(1.0, max(self.rate.shape[-2:]) / 400),
            "features": {
                "what": [region.kind for region in regions],
                "deviations": [region.deviations for region in regions],
            },
            "text": {"string": "{what}", "size": 8, "anchor": "upper_left", "color": "white"},
        }
        return [(outlines, options | placement(self.pixel_size_nm, self.aspect, movie=self.axes == "TYX"), "shapes")]

    def _layer(self, pixels: NDArray[np.float32], what: str, colormap: str, limits: tuple[float, float]) -> LayerData:
        return image_layer(
            pixels,
            f"{what} · {self.report['model']}",  # napari's list has room for some thirty letters
            self.report,
            pixel_size_nm=self.pixel_size_nm,
            aspect=self.aspect,
            limits=limits,
            colormap=colormap,
            colours=self.axes == "YXS" and pixels.ndim > self.fit_map.ndim,
        )
