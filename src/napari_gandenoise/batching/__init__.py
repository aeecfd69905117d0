"""Folders and stacks: many frames, one job, a ledger to resume from, on one computer or many."""

from __future__ import annotations

from napari_gandenoise.batching.config import BatchConfig
from napari_gandenoise.batching.job import BatchResult, batch, batch_steps
from napari_gandenoise.batching.ledger import LEDGER, read_ledger

__all__ = ["LEDGER", "BatchConfig", "BatchResult", "batch", "batch_steps", "read_ledger"]
