"""One simulated micrograph as a counting camera records it, with the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import LayerData, image_layer
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate.generate import SimulatedImage, simulate_images

__all__ = ["SimulatedMicrograph", "missing_extra", "simulate_micrograph", "simulate_micrograph_steps"]

DOSE = 4.0  # electrons per pixel in vacuum: about 120 per square ångström at the default pixel size
METALS = ("Pt", "Au", "Pd")


@dataclass(frozen=True)
class SimulatedMicrograph:
    """A simulated micrograph.

    Attributes
    ----------
    counts : Micrograph
        ``(Y, X)`` unsigned integers: electrons counted in each pixel.
    truth : Micrograph
        ``(Y, X)`` float32: expected electrons per pixel.
    report : dict
        The config, the dose and the imaging conditions that were drawn.
    """

    counts: Micrograph
    truth: Micrograph
    report: dict[str, Any]

    def to_layers(self) -> list[LayerData]:
        """Return data, keyword arguments and type of two napari layers: the truth, hidden, below the counts."""
        return [self._layer(self.truth, visible=False), self._layer(self.counts, visible=True)]

    def _layer(self, micrograph: Micrograph, *, visible: bool) -> LayerData:
        size = micrograph.pixel_size_nm
        pixels, options, kind = image_layer(micrograph.pixels, micrograph.name, self.report, pixel_size_nm=size)
        return pixels, {**options, "axis_labels": ("y", "x"), "visible": visible}, kind


def missing_extra() -> str:
    """Say what to install before anything can be simulated; an empty string if nothing is missing."""
    if find_spec("ase") is not None:
        return ""
    return "Simulation needs ASE; install it with pip install napari-gandenoise[simulate]."


def simulate_micrograph_steps(
    config: SimulationConfig | None = None, dose: float = DOSE, structure: int = 0
) -> Steps[SimulatedMicrograph]:
    """Simulate a micrograph, as a generator of events; parameters, result and errors as in `simulate_micrograph`.

    Yields
    ------
    Progress
        Stages "structure and multislice" and "counting".
    """
    config = config or SimulationConfig()
    if not (np.isfinite(dose) and 0 < dose <= 1e6):
        raise GanDenoiseError(f"The dose must be a positive number of electrons per pixel, not {dose}.")
    missing = missing_extra()
    if missing:
        raise GanDenoiseError(missing)
    yield Progress("structure and multislice", 0, 1)
    image = simulate_images(config.model_copy(update={"images_per_structure": 1}), structure)[0]
    yield Progress("counting", 0, 1, preview=image.pixels)
    return _count(config, dose, structure, image)


def simulate_micrograph(
    config: SimulationConfig | None = None, dose: float = DOSE, structure: int = 0
) -> SimulatedMicrograph:
    """Simulate a micrograph: atomic structure, multislice, imaging conditions, counted electrons.

    Parameters
    ----------
    config : SimulationConfig, optional
        The ranges that structure and imaging conditions are drawn from; numbers of images do not matter here.
    dose : float
        Electrons per pixel in vacuum.
    structure : int
        Which structure: the truth is the first image of this structure in a set of the same config.

    Returns
    -------
    SimulatedMicrograph
        Counts and truth of ``config.shape`` squared; the same config, dose and structure give the same micrograph.

    Raises
    ------
    GanDenoiseError
        If the dose is no positive number, or ASE is not installed.
    """
    return drain(simulate_micrograph_steps(config, dose, structure))


def _count(config: SimulationConfig, dose: float, structure: int, image: SimulatedImage) -> SimulatedMicrograph:
    rate = np.asarray(image.pixels * dose, np.float32)
    # A stream of its own: the draws of structure and imaging are those of a set.
    rng = np.random.default_rng((config.seed, structure, 1))
    counts = rng.poisson(rate)
    counts = counts.astype(np.uint16 if counts.max() < 2**16 else np.uint32)
    size = image.pixel_size_nm
    name = f"{_scene(image.structure)} · seed {config.seed}" + (f"/{structure}" if structure else "")
    report = {
        "simulation": config.model_dump(mode="json"),
        "dose": dose,
        "structure": structure,
        "formula": image.structure,
        "contrast": image.contrast,
        "conditions": image.conditions._asdict(),
    }
    return SimulatedMicrograph(
        Micrograph(counts, pixel_size_nm=size, noise=Poisson(), name=name),
        Micrograph(rate, pixel_size_nm=size, name=f"{name} · truth"),
        report,
    )


def _scene(formula: str) -> str:
    """Name the particle and what it sits on, from the formula of all atoms."""
    metal = next((metal for metal in METALS if metal in formula), "particle")
    return f"{metal} on CeO2" if "Ce" in formula else metal
