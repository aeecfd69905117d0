"""Folders and stacks: many frames, one job, a ledger to resume from, on one computer or many."""

from __future__ import annotations

from napari_gandenoise.batching.inputs import find_sources
from napari_gandenoise.batching.job import BatchResult, batch, batch_steps
from napari_gandenoise.batching.ledger import LEDGER, FileState, has_job, read_ledger
from napari_gandenoise.batching.results import open_results

__all__ = [
    "LEDGER",
    "BatchResult",
    "FileState",
    "batch",
    "batch_steps",
    "find_sources",
    "has_job",
    "open_results",
    "read_ledger",
]
