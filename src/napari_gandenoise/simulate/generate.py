"""Simulated sets: draw structures, image each many times in the mode that is wanted, write to Zarr as they come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.simulate import ScenesConfig, SimulationConfig, StructureSource
from napari_gandenoise.simulate.conditions import ImagingConditions, draw_conditions
from napari_gandenoise.simulate.structures import build_structure

# PyTorch loads when something is simulated: until then a panel has only its form to show.
if TYPE_CHECKING:
    import torch

    from napari_gandenoise.simulate.multislice import ExitWaves
    from napari_gandenoise.simulate.probe import ProbeConditions

__all__ = [
    "SimulatedImage",
    "contrast_class",
    "device_of",
    "draw_scene",
    "make_specimen",
    "make_wave",
    "scan_specimen",
    "set_identity",
    "simulate_images",
    "simulate_steps",
    "wave_identity",
    "wave_pixels",
]

# Changes when the same settings give other images: what an older version began is not continued.  1 was abTEM's.
PHYSICS = 2

# The grid of exit waves and images: fine enough for the intensity behind an aperture of 26 mrad at 300 kV.
WAVE_SAMPLING_NM = 0.0183
MARGIN_NM = 0.44  # cut off on each side: the periodic multislice cell wraps the structure around
# An atom scatters in the middle of its slice, up to half a slice from its place; along a zone axis these errors add up.
THICK_NM, THIN_SLICE_NM = 10.0, 0.1
DARK = {"inner_mrad": 2.0, "outer_mrad": 6.0}  # of a dark-field detector that shows where columns are, probe angles


class SimulatedImage(NamedTuple):
    """A clean image with what made it.

    Attributes
    ----------
    pixels : ndarray
        ``(Y, X)``: relative to vacuum (HRTEM, bright fields), share of the beam (HAADF), or within 0 and 1 (scenes).
    pixel_size_nm : float
        Pixel size, nm.
    structure : str
        Formula of all atoms; "scene" without any.
    conditions : ImagingConditions, ProbeConditions or None
        What was drawn; None for scenes.
    contrast : str
        Atom columns are "white", "black" or "intermediate"; empty for scenes.
    """

    pixels: NDArray[np.float32]
    pixel_size_nm: float
    structure: str
    conditions: ImagingConditions | ProbeConditions | None
    contrast: str

    @property
    def drawn(self) -> dict[str, Any]:
        """What was drawn for this image, by its name."""
        return self.conditions._asdict() if self.conditions else {}


def contrast_class(pixels: NDArray[np.float32], projected_potential: NDArray[np.float32]) -> str:
    """Say whether atom columns are white, black or intermediate, by their correlation with the image.

    Low spatial frequencies are removed first: mean darkening by the support is not column contrast.
    """
    columns, seen = (a - ndimage.gaussian_filter(a, 12) for a in (projected_potential, pixels))
    correlation = float(np.corrcoef(columns.ravel(), seen.ravel())[0, 1])
    return "white" if correlation > 0.3 else "black" if correlation < -0.3 else "intermediate"


def simulate_images(
    config: SimulationConfig, structure: int, device: torch.device | str = "cpu"
) -> list[SimulatedImage]:
    """Simulate all images of structure number ``structure`` of a set.

    Parameters
    ----------
    config : SimulationConfig
        What to simulate.
    structure : int
        Which structure; with the config's seed it decides every draw.
    device : torch.device or str
        Where to compute.  On a processor the images are the same in any process, bit by bit.

    Returns
    -------
    list of SimulatedImage
        ``config.images_per_structure`` images of ``config.shape`` squared at ``config.pixel_size_nm``.
    """
    if isinstance(config.structure, ScenesConfig):
        seeds = [(config.seed, structure, number) for number in range(config.images_per_structure)]
        scenes = [draw_scene(config, np.random.default_rng(seed), device) for seed in seeds]
        return [SimulatedImage(scene, config.pixel_size_nm, "scene", None, "") for scene in scenes]
    rng = np.random.default_rng((config.seed, structure))
    return _transmitted(config, rng, device) if config.mode == "hrtem" else _scanned(config, rng, device)


def _transmitted(
    config: SimulationConfig, rng: np.random.Generator, device: torch.device | str
) -> list[SimulatedImage]:
    from napari_gandenoise.simulate.optics import hrtem_images
    from napari_gandenoise.simulate.resampling import crop_to_grid

    wave, formula = make_wave(config, rng, device)
    conditions = [draw_conditions(config.imaging, rng) for _ in range(config.images_per_structure)]
    full = hrtem_images(wave, conditions)
    pixels = crop_to_grid(full, wave.pixel_size_nm, config.pixel_size_nm, config.shape).cpu().numpy()
    potential = wave.projected_potential[0].cpu().numpy()
    contrasts = [contrast_class(image, potential) for image in full.cpu().numpy()]
    return [
        SimulatedImage(image, config.pixel_size_nm, formula, drawn, contrast)
        for image, drawn, contrast in zip(pixels, conditions, contrasts, strict=True)
    ]


def _scanned(config: SimulationConfig, rng: np.random.Generator, device: torch.device | str) -> list[SimulatedImage]:
    from napari_gandenoise.simulate.probe import draw_probe

    assert config.mode != "hrtem"
    specimen = make_specimen(config, rng)
    conditions = [draw_probe(config.probe, rng, config.mode) for _ in range(config.images_per_structure)]
    images = scan_specimen(config, specimen, conditions, device)
    contrasts = ["white"] * len(images)
    if config.mode != "haadf":
        cone = conditions[0].convergence_mrad
        dark = conditions[0]._replace(**{name: angle * cone for name, angle in DARK.items()})
        (columns,) = scan_specimen(config, specimen, [dark], device)
        contrasts = [contrast_class(image, columns) for image in images]
    formula = specimen.get_chemical_formula()
    return [
        SimulatedImage(image, config.pixel_size_nm, formula, drawn, contrast)
        for image, drawn, contrast in zip(images, conditions, contrasts, strict=True)
    ]


def draw_scene(
    config: SimulationConfig, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Draw a scene ``(Y, X)`` within 0 and 1."""
    import torch

    from napari_gandenoise.simulate.scenes import draw_scenes

    assert isinstance(config.structure, ScenesConfig)
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    scene: NDArray[np.float32] = draw_scenes(config.structure, 1, config.shape, generator)[0, 0].cpu().numpy()
    return scene


def make_specimen(config: SimulationConfig, rng: np.random.Generator) -> Any:
    """Draw the structure that a probe is scanned over: `ase.Atoms` in a cell of whole pixels."""
    return build_structure(_source(config), rng, (config.shape + 2 * _margin(config)) * config.pixel_size_nm)


def scan_specimen(
    config: SimulationConfig, specimen: Any, conditions: Sequence[ProbeConditions], device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Image a structure of `make_specimen` with some probes: ``(len(conditions), Y, X)`` on the config's grid."""
    from napari_gandenoise.simulate.stem import stem_images

    margin = _margin(config)
    whole = stem_images([specimen] * len(conditions), conditions, config.shape + 2 * margin, device)
    inside = slice(margin, margin + config.shape)
    images: NDArray[np.float32] = whole[:, inside, inside].cpu().numpy()
    return images


def _margin(config: SimulationConfig) -> int:
    return int(np.ceil(MARGIN_NM / config.pixel_size_nm))


def _source(config: SimulationConfig) -> StructureSource:
    if isinstance(config.structure, ScenesConfig):
        raise GanDenoiseError("Scenes have no atoms: choose another kind of structure.")
    return config.structure


def make_wave(
    config: SimulationConfig, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> tuple[ExitWaves, str]:
    """Draw a structure and propagate through it; return its exit wave on the images' grid and its formula."""
    from napari_gandenoise.simulate.multislice import SLICE_NM, exit_waves

    box_nm = config.shape * config.pixel_size_nm + 2 * MARGIN_NM
    atoms = build_structure(_source(config), rng, box_nm)
    depth_nm = float(np.ptp(atoms.positions[:, 2])) / 10 if len(atoms) else 0.0
    wave = exit_waves(
        [atoms],
        config.imaging.energy_kev,
        wave_pixels(config),
        device,
        vibration_nm=config.vibration_nm,
        slice_nm=THIN_SLICE_NM if depth_nm > THICK_NM else SLICE_NM,
    )
    return wave, atoms.get_chemical_formula()


def wave_pixels(config: SimulationConfig) -> int:
    """Side of the exit waves of a set, pixels."""
    box_nm = config.shape * config.pixel_size_nm + 2 * MARGIN_NM
    return int(np.ceil(box_nm / WAVE_SAMPLING_NM / 16)) * 16


def wave_identity(config: SimulationConfig) -> dict[str, Any]:
    """Return what the exit waves of a set depend on."""
    names = {"structures", "pixel_size_nm", "shape", "seed", "structure", "vibration_nm"}
    of_waves = config.model_dump(mode="json", include=names)
    return {**of_waves, "energy_kev": config.imaging.energy_kev, "physics": PHYSICS}


def set_identity(config: SimulationConfig) -> dict[str, Any]:
    """Return what the clean images of a set depend on, as they are stored with it."""
    return config.model_dump(mode="json", exclude={"device", "acquisition"})


def device_of(config: SimulationConfig, device: torch.device | str | None) -> torch.device | str:
    """Return the device that was given, or else the one that the config names; auto is the processor."""
    return device or ("cpu" if config.device == "auto" else config.device)


def simulate_steps(config: SimulationConfig, output: Path, device: torch.device | str | None = None) -> Steps[Path]:
    """Write a simulated set, one event an image.

    Parameters
    ----------
    config : SimulationConfig
        What to simulate.
    output : pathlib.Path
        Zarr group to create: ``images`` ``(N, Y, X)``, float16, or float32 for HAADF, attributes with the
        config and the conditions of each image.  An existing set of the same config is continued.
    device : torch.device or str, optional
        Where to compute; by default what ``config.device`` says, and the processor if that is auto.

    Yields
    ------
    Progress
        Stage "simulate"; the preview is the latest image.

    Raises
    ------
    GanDenoiseError
        If ``output`` holds something else, or a set that another version of the simulation began.
    """
    device = device_of(config, device)
    group, images = _open_set(config, output)
    per = config.images_per_structure
    records: list[dict[str, Any]] = list(group.attrs.get("records", []))
    for structure in range(len(records) // per, config.structures):
        simulated = simulate_images(config, structure, device)
        images[structure * per : (structure + 1) * per] = np.stack([s.pixels for s in simulated]).astype(images.dtype)
        records += [{**s.drawn, "structure": s.structure, "contrast": s.contrast} for s in simulated]
        # Written last: a set that was stopped half-way resumes after the last whole structure.
        group.attrs["records"] = records
        yield Progress("simulate", structure + 1, config.structures, preview=simulated[-1].pixels)
    return output


def _open_set(config: SimulationConfig, output: Path) -> tuple[Any, Any]:
    import zarr

    description = set_identity(config)
    if output.exists():
        try:
            group = zarr.open_group(output, mode="r+")
        except Exception:  # what is there may be anything, also a set that is damaged
            group = None
        if group is None or _identity_of(group.attrs.get("simulation")) != description:
            raise GanDenoiseError(f"{output} already holds another set or something else: choose a new name.")
        if group.attrs.get("physics") != PHYSICS:
            raise GanDenoiseError(
                f"{output} was begun by another version of the simulation, whose images differ from those of this one: "
                "choose a new name."
            )
        return group, group["images"]
    group = zarr.open_group(output, mode="w")
    group.attrs["simulation"] = description
    group.attrs["physics"] = PHYSICS
    shape = (config.structures * config.images_per_structure, config.shape, config.shape)
    # Shares of the beam are small numbers.
    dtype = "float32" if config.mode == "haadf" else "float16"
    images = group.create_array("images", shape=shape, chunks=(1, *shape[1:]), dtype=dtype)
    return group, images


def _identity_of(stored: Any) -> dict[str, Any] | None:
    """Return the identity of a set that may lack settings which came later."""
    try:
        return set_identity(SimulationConfig.model_validate(stored))
    except ValidationError:
        return None
