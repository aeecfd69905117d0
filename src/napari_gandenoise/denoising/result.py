"""What denoising returns: the rate, its maps, and the layers they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["DenoiseResult"]

MISFIT_ALLOWED = 0.02  # share of the area above the fit threshold beyond which a result does not fit
DEVIANCE_ALLOWED = 1.25  # of a whole frame; beyond it does not fit, or the noise is another


@dataclass(frozen=True)
class DenoiseResult:
    """A denoised micrograph.

    Attributes
    ----------
    rate : ndarray
        Denoised image, float32, shape and units of the input (without an alpha channel).
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
        Standard error of the rate in its units, shape of the fit map; None unless the config asks for replicates.
        Colours are pooled.
    """

    rate: NDArray[np.float32]
    fit_map: NDArray[np.float32]
    residual: NDArray[np.float32]
    latents: list[NDArray[np.float32]]
    tile_log_likelihood: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    uncertainty: NDArray[np.float32] | None = None

    def summary(self) -> str:
        """One line of trust."""
        share = self.report["residual_share"]
        stepped = self.report["config"]["residual_step"]
        added = f"residual step added {100 * share:.0f} %" if stepped else "no residual step"
        over = float((self.fit_map > self.report["fit_threshold"]).mean())
        where = f"{max(100 * over, 0.1):.1f} % of the area" if over > 0 else "no region"
        fits = self.report["deviance"] <= DEVIANCE_ALLOWED and over <= MISFIT_ALLOWED
        verdict = "fits the counts" if fits else "does not fit the counts"
        return f"{verdict}: deviance {self.report['deviance']:.2f}; {added}; {where} above the fit threshold"

    def at_intensity(self, intensity: float) -> DenoiseResult:
        """Blend a full result with its input: ``y = x + I (f(x) - x)``.

        Parameters
        ----------
        intensity : float
            I, from 0 (the input) to 1 (this result).

        Returns
        -------
        DenoiseResult
            With rate, residual and report of that intensity; fit map and uncertainty are those of the full result.

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
    def axes(self) -> str:
        """Meaning of the axes of the rate: YX, TYX or YXS."""
        return "YXS" if self.rate.ndim > self.fit_map.ndim else "TYX" if self.rate.ndim == 3 else "YX"

    def to_layer_data(self) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        """Return data, keyword arguments and type of a napari layer of the denoised image."""
        return self.to_layers()[0]

    def to_layers(
        self, fit_map: bool = False, residual: bool = False
    ) -> list[tuple[NDArray[np.float32], dict[str, Any], str]]:
        """Return the layers of the result: denoised image, uncertainty if there is one, and what is asked for."""
        stem = f"{self.name} · " if self.name else ""
        layers = [self._layer(self.rate, f"{stem}denoised ({self.report['model']})", "gray", _limits(self.rate))]
        if self.uncertainty is not None:
            limits = (0.0, float(np.percentile(self.uncertainty[..., ::4, ::4], 99.9)) or 1.0)
            layers.append(self._layer(self.uncertainty, f"{stem}uncertainty", "magma", limits))
        if fit_map:
            limits = (0.0, 1.5 * self.report["fit_threshold"])
            layers.append(self._layer(self.fit_map, f"{stem}fit map", "viridis", limits))
        if residual:
            spread = 3 * float(self.residual.std())
            layers.append(self._layer(self.residual, f"{stem}residual", "gray", (-spread, spread)))
        return layers

    def _layer(
        self, data: NDArray[np.float32], name: str, colormap: str, limits: tuple[float, float]
    ) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        colours = self.axes == "YXS" and data.ndim == 3
        options: dict[str, Any] = {"name": name, "metadata": {"napari-gandenoise": self.report}}
        if colours:
            # napari shows float colours from 0 to 1.
            options["rgb"] = True
            data = np.clip(data / self.report["white"], 0, 1).astype(np.float32)
        else:
            options |= {"colormap": colormap, "contrast_limits": limits}
        if self.pixel_size_nm is not None:
            frames = data.ndim - 2 - colours
            options["scale"] = (1.0,) * frames + (self.pixel_size_nm,) * 2
            options["units"] = ("pixel",) * frames + ("nm",) * 2
        return data, options, "image"


def _limits(image: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.percentile(image[..., ::4, ::4], (0.1, 99.9))
    return float(low), float(max(high, low + 1e-6))
