"""PNG and JPEG files, looked at before they are decoded."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from napari_gandenoise.strangers import check_unpacked

__all__ = ["check_picture"]

FORMATS = ("PNG", "JPEG", "MPO")  # and none that Pillow hands to another program, as it does PostScript
BYTES = {"1": 1, "I": 4, "F": 4}  # of a pixel of one band; of others one, or two where the mode says 16


def check_picture(path: Path) -> None:
    """Refuse a picture that is none, or unpacks to more than a file of its size may.

    Raises
    ------
    GanDenoiseError
        If it unpacks to too much.
    UnidentifiedImageError
        If it is no PNG and no JPEG, whatever its name says.
    """
    with Image.open(path, formats=FORMATS) as picture:
        width, height = picture.size
        each = 2 if "16" in picture.mode else BYTES.get(picture.mode, 1)
        bands = 4 if picture.mode == "P" else len(picture.getbands())  # a palette is applied
    check_unpacked(path, width * height * bands * each)
