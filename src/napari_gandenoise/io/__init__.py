"""Files in and out, with pixel sizes kept."""

from napari_gandenoise.io.files import images_in, pixels_of, read_images, read_micrograph
from napari_gandenoise.io.layers import read_layer
from napari_gandenoise.io.outputs import check_outputs, check_space, files_of, write_result
from napari_gandenoise.io.tiff import write_images, write_tiff

__all__ = [
    "check_outputs",
    "check_space",
    "files_of",
    "images_in",
    "pixels_of",
    "read_images",
    "read_layer",
    "read_micrograph",
    "write_images",
    "write_result",
    "write_tiff",
]
