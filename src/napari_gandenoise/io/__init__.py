"""Files in and out, with pixel sizes kept."""

from napari_gandenoise.io.files import pixels_of, read_micrograph
from napari_gandenoise.io.tiff import write_tiff

__all__ = ["pixels_of", "read_micrograph", "write_tiff"]
