"""Commands that napari's plugin manifest offers: to the command palette, to menus and to scripts without a window."""

from napari_gandenoise.manifest.files import get_reader, open_micrograph, open_movie, write_layers
from napari_gandenoise.manifest.images import adapt, columns, compare, denoise, recover, restore
from napari_gandenoise.manifest.many import batch_denoise, batch_restore
from napari_gandenoise.manifest.training import simulate, train

__all__ = [
    "adapt",
    "batch_denoise",
    "batch_restore",
    "columns",
    "compare",
    "denoise",
    "get_reader",
    "open_micrograph",
    "open_movie",
    "recover",
    "restore",
    "simulate",
    "train",
    "write_layers",
]
