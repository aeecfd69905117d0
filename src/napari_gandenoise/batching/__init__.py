"""Folders and stacks: many frames, one job, a ledger to resume from, on one computer or many."""

from __future__ import annotations

from napari_gandenoise.batching.inputs import find_sources
from napari_gandenoise.batching.job import BatchResult, batch, batch_steps
from napari_gandenoise.batching.ledger import LEDGER, FileState, Judged, Standing, has_job, read_ledger
from napari_gandenoise.batching.results import Pair, open_results, pairs_of
from napari_gandenoise.batching.running import FileProgress

__all__ = [
    "LEDGER",
    "BatchResult",
    "FileProgress",
    "FileState",
    "Judged",
    "Pair",
    "Standing",
    "batch",
    "batch_steps",
    "find_sources",
    "has_job",
    "open_results",
    "pairs_of",
    "read_ledger",
]
