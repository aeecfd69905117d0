"""The main road: a micrograph goes in; a rate with its fit map and report comes out."""

from __future__ import annotations

from napari_gandenoise.denoising.adaptation import Adaptation
from napari_gandenoise.denoising.drift import given_way
from napari_gandenoise.denoising.evidence import FirstFrame, calibrated
from napari_gandenoise.denoising.plan import Plan, plan
from napari_gandenoise.denoising.posterior import repeated_if_nothing_draws, uncertain
from napari_gandenoise.denoising.preparation import as_micrograph, check_fit, white_level
from napari_gandenoise.denoising.result import DenoiseResult
from napari_gandenoise.denoising.run import adapt, adapt_steps, choice_steps, denoise, denoise_steps
from napari_gandenoise.denoising.verdict import Check, Region, Verdict
from napari_gandenoise.denoising.work import work_of

__all__ = [
    "Adaptation",
    "Check",
    "DenoiseResult",
    "FirstFrame",
    "Plan",
    "Region",
    "Verdict",
    "adapt",
    "adapt_steps",
    "as_micrograph",
    "calibrated",
    "check_fit",
    "choice_steps",
    "denoise",
    "denoise_steps",
    "given_way",
    "plan",
    "repeated_if_nothing_draws",
    "uncertain",
    "white_level",
    "work_of",
]
