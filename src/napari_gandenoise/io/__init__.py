"""Files in and out, with pixel sizes kept."""

from napari_gandenoise.io.files import images_in, pixels_of, read_images, read_micrograph
from napari_gandenoise.io.layers import read_layer
from napari_gandenoise.io.outputs import check_outputs, check_space, files_of, write_result
from napari_gandenoise.io.tables import CSV, as_csv, read_table, write_table
from napari_gandenoise.io.tiff import write_images, write_tiff

__all__ = [
    "CSV",
    "as_csv",
    "check_outputs",
    "check_space",
    "files_of",
    "images_in",
    "pixels_of",
    "read_images",
    "read_layer",
    "read_micrograph",
    "read_table",
    "write_images",
    "write_result",
    "write_table",
    "write_tiff",
]
