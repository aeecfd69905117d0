"""Measurement operators: how an image became the one that is to be restored."""

from __future__ import annotations

from napari_gandenoise.operators.measurement import Decimate, Identity, Luminance, Mask, Operator, Quantise
from napari_gandenoise.operators.poisson import poisson_blend

__all__ = ["Decimate", "Identity", "Luminance", "Mask", "Operator", "Quantise", "poisson_blend"]
