"""Restoration: what is missing of an image is drawn, be it pixels, colours, sharpness or grey levels."""

from __future__ import annotations

from napari_gandenoise.restoration.result import RestoreResult
from napari_gandenoise.restoration.run import restore, restore_steps

__all__ = ["RestoreResult", "restore", "restore_steps"]
