"""One simulated micrograph as a detector records it, with the truth behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.layers import LayerData, image_layer
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.settings.simulate import MODES, ScenesConfig, SimulationConfig
from napari_gandenoise.simulate.generate import SimulatedImage, device_of, simulate_images

if TYPE_CHECKING:
    import torch

__all__ = ["SimulatedMicrograph", "default_dose", "missing_extra", "simulate_micrograph", "simulate_micrograph_steps"]

DOSE = 4.0  # electrons per pixel in vacuum: about 120 per square ångström at the default pixel size
HAADF_DOSE = 1000.0  # electrons of the beam at each pixel, of which a few per cent are detected: 20 pA for 8 µs
FAINTEST = 1e-9  # signal of an image without any


@dataclass(frozen=True)
class SimulatedMicrograph:
    """A simulated micrograph.

    Attributes
    ----------
    counts : Micrograph
        ``(Y, X)``: electrons counted in each pixel, unsigned integers; of other detectors the values that they record,
        float32.
    truth : Micrograph
        ``(Y, X)`` float32: expected electrons per pixel, or what another detector would record without noise.
    report : dict
        The config, the dose and the conditions that were drawn.
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


def missing_extra(config: SimulationConfig | None = None) -> str:
    """Say what to install before anything, or what a config says, can be simulated; empty if nothing is missing."""
    without_atoms = config is not None and isinstance(config.structure, ScenesConfig)
    if without_atoms or find_spec("ase") is not None:
        return ""
    return "Simulation needs ASE; install it with pip install napari-gandenoise[simulate]."


def default_dose(config: SimulationConfig) -> float:
    """Return the electrons per pixel, in vacuum or of a scanning beam, that show something."""
    return HAADF_DOSE if config.mode == "haadf" and not isinstance(config.structure, ScenesConfig) else DOSE


def simulate_micrograph_steps(
    config: SimulationConfig | None = None,
    dose: float | None = None,
    structure: int = 0,
    device: torch.device | str | None = None,
) -> Steps[SimulatedMicrograph]:
    """Simulate a micrograph, as a generator of events; parameters, result and errors as in `simulate_micrograph`.

    Yields
    ------
    Progress
        Stages "image" and "recording".
    """
    config = config or SimulationConfig()
    if dose is not None and not (np.isfinite(dose) and 0 < dose <= 1e6):
        raise GanDenoiseError(f"The dose must be a positive number of electrons per pixel, not {dose}.")
    missing = missing_extra(config)
    if missing:
        raise GanDenoiseError(missing)
    yield Progress("image", 0, 1)
    # A scan looks beyond the edges of its image.
    one = config.model_copy(update={"images_per_structure": 1, "shape": config.shape + 2 * config.acquisition.cut})
    image = simulate_images(one, structure, device_of(config, device))[0]
    yield Progress("recording", 0, 1, preview=image.pixels)
    if config.acquisition.recorder == "counter":
        return _count(config, default_dose(config) if dose is None else dose, structure, image)
    return _acquire(config, dose, structure, image)


def simulate_micrograph(
    config: SimulationConfig | None = None,
    dose: float | None = None,
    structure: int = 0,
    device: torch.device | str | None = None,
) -> SimulatedMicrograph:
    """Simulate a micrograph: a structure or a scene, its image, and what a detector makes of that.

    Parameters
    ----------
    config : SimulationConfig, optional
        The ranges that structure and conditions are drawn from; numbers of images do not matter here.
    dose : float, optional
        Electrons per pixel in vacuum, or of a scanning beam at each pixel.  By default 4, or 1000 for HAADF, for a
        counting detector, and drawn from ``config.acquisition.dose`` for any other one.
    structure : int
        Which structure: with a counting detector the truth is the first image of this structure in a set of the same
        config.
    device : torch.device or str, optional
        Where to compute; by default what ``config.device`` says, and the processor if that is auto.

    Returns
    -------
    SimulatedMicrograph
        Counts and truth of ``config.shape`` squared; the same config, dose and structure give the same micrograph.

    Raises
    ------
    GanDenoiseError
        If the dose is no positive number, or ASE is not installed and there are atoms.
    """
    return drain(simulate_micrograph_steps(config, dose, structure, device))


def _count(config: SimulationConfig, dose: float, structure: int, image: SimulatedImage) -> SimulatedMicrograph:
    rate = np.asarray(image.pixels * dose, np.float32)
    # A stream of its own: the draws of structure and imaging are those of a set.
    rng = np.random.default_rng((config.seed, structure, 1))
    counts = rng.poisson(rate)
    counts = counts.astype(np.uint16 if counts.max() < 2**16 else np.uint32)
    size, name = image.pixel_size_nm, _name(config, structure, image)
    return SimulatedMicrograph(
        Micrograph(counts, pixel_size_nm=size, noise=Poisson(), name=name),
        Micrograph(rate, pixel_size_nm=size, name=f"{name} · truth"),
        _report(config, dose, structure, image),
    )


def _acquire(
    config: SimulationConfig, dose: float | None, structure: int, image: SimulatedImage
) -> SimulatedMicrograph:
    import torch

    from napari_gandenoise.noise.acquisition import acquire

    rng = np.random.default_rng((config.seed, structure, 1))
    acquisition = config.acquisition
    signal = max(float(image.pixels.mean()), FAINTEST)
    if dose is None and acquisition.dose is not None:
        dose = float(np.exp(rng.uniform(*np.log(acquisition.dose)))) / signal
    if dose is not None:
        acquisition = acquisition.model_copy(update={"dose": (dose * signal, dose * signal)})
    clean = torch.from_numpy(image.pixels / max(float(image.pixels.max()), FAINTEST))[None, None]
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    acquired = acquire(clean, acquisition, generator)
    size, name = image.pixel_size_nm, _name(config, structure, image)
    noise = {"strength": float(acquired.strength.mean()), "correlation": acquired.correlation[0].tolist()}
    return SimulatedMicrograph(
        Micrograph(acquired.noisy[0, 0].numpy(), pixel_size_nm=size, name=name),
        Micrograph(acquired.clean[0, 0].numpy(), pixel_size_nm=size, name=f"{name} · truth"),
        {**_report(config, dose, structure, image), **noise},
    )


def _report(config: SimulationConfig, dose: float | None, structure: int, image: SimulatedImage) -> dict[str, Any]:
    return {
        "simulation": config.model_dump(mode="json"),
        "dose": dose,
        "structure": structure,
        "formula": image.structure,
        "contrast": image.contrast,
        "conditions": image.drawn,
    }


def _name(config: SimulationConfig, structure: int, image: SimulatedImage) -> str:
    mode = "" if config.mode == "hrtem" else f" · {MODES[config.mode]}"
    return f"{_shown(config, image.structure)}{mode} · seed {config.seed}" + (f"/{structure}" if structure else "")


def _shown(config: SimulationConfig, formula: str) -> str:
    """Name what an image shows: by the config where that leaves no doubt, otherwise by the elements of the formula."""
    names = config.structure.names
    if isinstance(config.structure, ScenesConfig):
        return names[0] if len(names) == 1 else "scene"
    elements = _elements(formula)
    if config.structure.kind == "particle":
        metal = next((name for name in names if name in elements), names[0])
        return f"{metal} on CeO2" if "Ce" in elements else metal
    named = config.structure.materials or config.structure.cif
    fitting = [name for name in names if set(_elements(name)) <= set(elements)] if len(names) > 1 else list(names)
    return fitting[0] if named and len(fitting) == 1 else "-".join(elements)


def _elements(formula: str) -> list[str]:
    """List the elements of a formula, each once."""
    return list(dict.fromkeys(re.findall("[A-Z][a-z]?", formula)))
