"""PNG, JPEG and BMP files, looked at before they are decoded."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
from PIL import Image

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io.intensities import as_intensities
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.strangers import blaming, check_unpacked

__all__ = ["PICTURES", "check_picture", "read_picture"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS = ("PNG", "JPEG", "BMP", "MPO")  # and none that Pillow hands to another program, as it does PostScript
BYTES = {"1": 1, "I": 4, "F": 4}  # of a pixel of one band; of others one, or two where the mode says 16


def read_picture(path: Path) -> Micrograph:
    """Read a picture; see `napari_gandenoise.io.read_images`."""
    with blaming(path, "picture"):
        if check_picture(path) == "CMYK":
            raise GanDenoiseError(f"{path} holds the inks of a printer (CMYK): save it as grey or RGB first.")
        pixels = imageio.imread(path, plugin="pillow", index=0)
        pixels, rgb, notes = as_intensities(pixels, colours=pixels.ndim == 3)
    return Micrograph(pixels, rgb=rgb, name=path.stem, notes=notes)


def check_picture(path: Path) -> str:
    """Refuse a picture that is none, or unpacks to more than a file of its size may.

    Returns
    -------
    str
        Its mode, as Pillow calls it.

    Raises
    ------
    GanDenoiseError
        If it unpacks to too much.
    UnidentifiedImageError
        If it is no PNG, no JPEG and no BMP, whatever its name says.
    """
    with Image.open(path, formats=FORMATS) as picture:
        width, height = picture.size
        each = 2 if "16" in picture.mode else BYTES.get(picture.mode, 1)
        bands = 4 if picture.mode == "P" else len(picture.getbands())  # a palette is applied
        mode = picture.mode
    check_unpacked(path, width * height * bands * each)
    return mode
