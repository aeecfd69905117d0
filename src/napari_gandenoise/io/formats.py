"""The files of microscopes that are read, listed once: the readers, the manifest and the documentation follow this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FORMATS", "MICROSCOPE_SUFFIXES", "OWN", "Format", "formats_of"]

OWN = ("mrc", "zspy")  # read without rosettasciio


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes
    ----------
    name : str
        What its makers call it.
    suffixes : tuple of str
        Endings of its files, in small letters.
    reader : str
        Which room of rosettasciio reads it, or which of `OWN` readers.
    holds : str
        What of it is read, for the documentation.
    options : mapping
        What rosettasciio is asked for.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    holds: str
    options: Mapping[str, Any] = field(default_factory=dict)


# Where a file is read frame by frame, rosettasciio is asked for one piece: sizes in a header do not cost memory then.
WHOLE = {"chunks": -1}

FORMATS = (
    Format(
        "Gatan DigitalMicrograph",
        (".dm3", ".dm4"),
        "digitalmicrograph",
        "images, colour images, stacks; the preview is left out",
        WHOLE,
    ),
    Format(
        "Velox, NCEM and Prismatic EMD; Direct Electron",
        (".emd", ".de5"),
        "emd",
        "the image of each detector, stacks; spectra and Fourier transforms are left out",
        {"select_type": "images", "load_SI_image_stack": True},
    ),
    Format("TIA (FEI)", (".emi", ".ser"), "tia", "images, stacks, which are read as a whole; .emi with its .ser files"),
    Format(
        "MRC, also of SerialEM, FEI and IMOD",
        (".mrc", ".mrcs", ".map", ".st", ".rec", ".ali"),
        "mrc",
        "images, stacks, volumes slice by slice",
    ),
    Format("HyperSpy", (".hspy", ".hdf5"), "hspy", "images, stacks"),
    Format("HyperSpy in Zarr", (".zspy",), "zspy", "images, stacks"),
    Format("Quantum Detectors Merlin", (".mib",), "quantumdetector", "images, stacks", WHOLE),
    Format("Phenom", (".elid",), "phenom", "images; spectra are left out"),
    Format("JEOL Analysis Station", (".img", ".map"), "jeol", "images, maps of elements"),
    Format("Delmic", (".h5", ".hdf5"), "delmic", "images of electrons and of light", {"signal": "all"}),
    Format("NanoMEGAS Topspin", (".app5",), "topspin", "virtual images", {"show_progressbar": False}),
    Format("NanoMEGAS blockfile", (".blo",), "blockfile", "stacks of diffraction patterns", WHOLE),
    Format("TVIPS", (".tvips",), "tvips", "movies"),
    Format("EMPAD", (".xml",), "empad", "stacks of diffraction patterns, with their .raw file"),
    # rosettasciio 0.15 finds other pixels in some of these files when it is to leave them there.
    Format("CEOS Panta Rhei", (".prz",), "pantarhei", "images, stacks", {"lazy": False}),
    Format("Hamamatsu", (".img",), "hamamatsu", "images of the camera"),
    Format("Semper", (".unf",), "semper", "images, stacks"),
    Format("Ripple", (".rpl",), "ripple", "images, stacks, with their .raw file", WHOLE),
)
MICROSCOPE_SUFFIXES = frozenset(suffix for kind in FORMATS for suffix in kind.suffixes)


def formats_of(suffix: str) -> list[Format]:
    """List the formats that a file may be of, by its ending in small letters."""
    return [kind for kind in FORMATS if suffix in kind.suffixes]
