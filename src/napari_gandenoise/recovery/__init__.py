"""Latent recovery as the literature has it: what only reproduces papers.  The main road never imports this room."""

from __future__ import annotations

from napari_gandenoise.recovery.run import recover, recover_steps
from napari_gandenoise.recovery.sharpness import sharpness_steps

__all__ = ["recover", "recover_steps", "sharpness_steps"]
