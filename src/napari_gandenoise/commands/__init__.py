"""Commands that napari's plugin manifest offers: to the command palette, to menus and to scripts without a window."""

from napari_gandenoise.commands.files import get_reader, open_micrograph, open_movie
from napari_gandenoise.commands.images import compare, denoise, restore
from napari_gandenoise.commands.many import batch_denoise, batch_restore
from napari_gandenoise.commands.training import simulate, train

__all__ = [
    "batch_denoise",
    "batch_restore",
    "compare",
    "denoise",
    "get_reader",
    "open_micrograph",
    "open_movie",
    "restore",
    "simulate",
    "train",
]
