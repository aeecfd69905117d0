"""Which bundled model to begin with."""

from __future__ import annotations

import math
from typing import NamedTuple

from napari_gandenoise.models import DirectModel, bundled_names, load_model
from napari_gandenoise.settings.cif import CifMode

__all__ = ["Nearest", "nearest_model"]

HRTEM = "High-resolution TEM"  # how descriptions of models that know only such images begin
COARSEST = 1.25  # pixels of images over those of a model that was trained on such a sampling


class Nearest(NamedTuple):
    """A model to begin with.

    Attributes
    ----------
    name : str
        By which `load_model` finds it.
    model : DirectModel
        The model.
    summed : int
        Pixels of the images along each side that it takes for one.
    """

    name: str
    model: DirectModel
    summed: int = 1


def nearest_model(mode: CifMode, pixel_size_nm: float) -> Nearest | None:
    """Find the bundled direct denoiser that is nearest to micrographs of a mode and a sampling.

    Models of grey images alone are asked.  First come models of HRTEM (intensity template), for HRTEM whose pixels, or
    whole sums of them, are like theirs: at most a quarter coarser.  Of several the one is taken whose pixels are most
    like the sums, of equals the first by name.  Else it is the first by name of those for any micrograph (intensity
    standard), to which pixels have no size.

    Parameters
    ----------
    mode : str
        hrtem or haadf.
    pixel_size_nm : float
        Of the micrographs, nm.

    Returns
    -------
    Nearest or None
        None if no bundled model is for such images.
    """
    models = {name: model for name in bundled_names() if isinstance(model := load_model(name), DirectModel)}
    grey = {name: model for name, model in models.items() if model.channels == 1}
    alike: list[tuple[float, Nearest]] = []
    for name, model in grey.items():
        of_hrtem = model.header.intensity == "template" and model.header.description.startswith(HRTEM)
        if mode == "hrtem" and of_hrtem and model.pixel_size_nm and pixel_size_nm <= COARSEST * model.pixel_size_nm:
            summed = max(1, round(model.pixel_size_nm / pixel_size_nm))
            alike.append((abs(math.log(summed * pixel_size_nm / model.pixel_size_nm)), Nearest(name, model, summed)))
    if alike:
        return min(alike, key=lambda found: found[0])[1]
    general = (Nearest(name, model) for name, model in grey.items() if model.header.intensity == "standard")
    return next(general, None)
