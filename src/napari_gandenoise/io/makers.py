"""The pixel size that makers of microscopes and cameras write into TIFF files, each in tags of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_gandenoise.micrograph import nm_per_unit

__all__ = ["Sides", "makers_sides_nm", "resolution_nm"]

Sides = tuple[float, float]  # height and width of a pixel in nanometres

NM_PER_M = 1e9
FEI = (34680, 34682)
ZEISS, TVIPS, SIS = 34118, 37706, (33471, 33560)
ZEISS_WIDTH = 1024  # pixels across the display that the unnamed size of a Zeiss file belongs to
DM_UNITS, DM_STEPS = (65004, 65003), (65010, 65009)  # along y and x
PRINTED = {2: "inch", 3: "cm"}
# Scanners and drawing programs store 72 or 300 dots per inch; no micrograph of atoms has pixels of a micrometre.
LARGEST_BELIEVABLE_NM = 1000.0


def makers_sides_nm(page: tifffile.TiffPage) -> Sides | None:
    """Return height and width of a pixel by the first maker's tags that tell them, else by the resolution.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page of the image.

    Returns
    -------
    tuple of float or None
        None if nothing in the page tells them.
    """
    for sides_nm in _MAKERS:
        sides = sides_nm(page)
        if sides is not None and all(math.isfinite(side) and side > 0 for side in sides):
            return sides
    return None


def resolution_nm(page: tifffile.TiffPage, unit: str) -> Sides | None:
    """Turn pixels per unit, fractions in the tags, into height and width of a pixel.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page of the image.
    unit : str
        Of length.

    Returns
    -------
    tuple of float or None
        None where a tag is missing or the unit is none; nor do dots of a printer measure anything.
    """
    nm, tags = nm_per_unit(unit), [page.tags.get(f"{axis}Resolution") for axis in "YX"]
    if nm is None or any(tag is None or 0 in tag.value for tag in tags):
        return None
    y_nm, x_nm = (nm * tag.value[1] / tag.value[0] for tag in tags if tag is not None)
    printed = unit in PRINTED.values() and max(y_nm, x_nm) >= LARGEST_BELIEVABLE_NM
    return None if printed else (y_nm, x_nm)


def _fei(page: tifffile.TiffPage) -> Sides | None:
    """Read what a scan of FEI or Thermo Fisher states, or divide the width of its field by its pixels."""
    told = next((page.tags.valueof(tag) for tag in FEI if tag in page.tags), None)
    if not isinstance(told, dict):
        return None
    for section in ("Scan", "EScan", "IScan"):
        if _numbers(scan := told.get(section, {}), "PixelHeight", "PixelWidth"):
            return NM_PER_M * scan["PixelHeight"], NM_PER_M * scan["PixelWidth"]
    beam, image = told.get(told.get("Beam", {}).get("Beam"), {}), told.get("Image", {})
    if _numbers(beam, "VFW", "HFW") and _numbers(image, "ResolutionY", "ResolutionX"):
        return NM_PER_M * beam["VFW"] / image["ResolutionY"], NM_PER_M * beam["HFW"] / image["ResolutionX"]
    return None


def _zeiss(page: tifffile.TiffPage) -> Sides | None:
    """Read the exact size, which belongs to a display of 1024 pixels, unless the rounded one of the image differs."""
    told = page.tags.valueof(ZEISS)
    if not isinstance(told, dict):
        return None
    unnamed, found = told.get("", ()), None
    if len(unnamed) > 3 and isinstance(unnamed[3], float):
        found = NM_PER_M * unnamed[3] * ZEISS_WIDTH / page.imagewidth
    for name in ("ap_image_pixel_size", *(("ap_pixel_size",) if found is None else ())):
        value = told.get(name, ())
        if len(value) == 3 and (nm := nm_per_unit(value[2])) is not None:
            stated = float(value[1]) * nm
            found = found if found is not None and math.isclose(found, stated, rel_tol=0.01) else stated
    return None if found is None else (found, found)


def _tvips(page: tifffile.TiffPage) -> Sides | None:
    told = page.tags.valueof(TVIPS)
    found = isinstance(told, dict) and _numbers(told, "PixelSizeY", "PixelSizeX")
    return (told["PixelSizeY"], told["PixelSizeX"]) if found else None


def _sis(page: tifffile.TiffPage) -> Sides | None:
    for tag in SIS:
        told = page.tags.valueof(tag)
        if isinstance(told, dict) and _numbers(told, "pixelsizey", "pixelsizex"):
            return NM_PER_M * told["pixelsizey"], NM_PER_M * told["pixelsizex"]
    return None


def _digital_micrograph(page: tifffile.TiffPage) -> Sides | None:
    units = [nm_per_unit(page.tags.valueof(tag)) for tag in DM_UNITS]
    steps = [page.tags.valueof(tag) for tag in DM_STEPS]
    if None in units or not all(isinstance(step, float) for step in steps):
        return None
    return steps[0] * units[0], steps[1] * units[1]


def _jeol(page: tifffile.TiffPage) -> Sides | None:
    """Divide the pixels of a JEOL camera, which the resolution measures, by the magnification; not of diffraction."""
    if not str(page.tags.valueof("Make")).startswith("JEOL"):
        return None
    try:
        root = ElementTree.fromstring(page.description.strip(" \r\n\t\x00\x01"))
    except ElementTree.ParseError:
        return None
    mode, lenses = root.findtext("Eos/EosMode"), "ImageFormingSystem"
    if mode != "eosTEM" or root.findtext(f"{lenses}/ModeString") != "MAG":
        return None
    magnification = float(root.findtext(f"{lenses}/SelectorValue") or 0)
    nm = nm_per_unit(PRINTED.get(int(page.tags.valueof("ResolutionUnit", 0)), ""))
    if nm is None or not magnification > 0:
        return None
    y, x = (page.tags.valueof(f"{axis}Resolution") for axis in "YX")
    return nm / magnification * y[1] / y[0], nm / magnification * x[1] / x[0]


def _printed(page: tifffile.TiffPage) -> Sides | None:
    """Believe the resolution that any program may write where it is no printer's."""
    return resolution_nm(page, PRINTED.get(int(page.tags.valueof("ResolutionUnit", 0)), ""))


def _numbers(told: Any, *names: str) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(name), int | float) and told[name] > 0 for name in names)


_MAKERS: tuple[Callable[[tifffile.TiffPage], Sides | None], ...] = (
    _fei,
    _zeiss,
    _tvips,
    _sis,
    _digital_micrograph,
    _jeol,
    _printed,
)
