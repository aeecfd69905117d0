"""From what a user knows of the micrographs of a material to a training run."""

from __future__ import annotations

from typing import Any, NamedTuple

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.finetuning.nearest import Nearest, nearest_model
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.cif import CIF_MODES, CifTrainConfig
from napari_gandenoise.settings.networks import UNetArchitecture
from napari_gandenoise.settings.simulate import IMAGING, MICROSCOPES, ImagingConfig
from napari_gandenoise.settings.stem import PROBES, SCANNING_MICROSCOPES, ProbeConfig
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.simulate import missing_extra
from napari_gandenoise.simulate.crystals import formula, read_cif
from napari_gandenoise.training.device import training_device

__all__ = ["lay_out"]

OTHER = UNetArchitecture(conditions=("estimated",))  # where there is no model to begin with
FROM_ANOTHER, ANEW = 5e-4, 1e-3  # learning rates
OFF = 0.1  # how far pixel sizes are off what users say
READ_NOISE = (0.002, 0.1)  # of white: less than of any micrograph, since the doses are known
SIDE = 1.25  # of images over that of the tiles that are cut from them


class _Pace(NamedTuple):
    """What a device can do."""

    minutes: float
    size: int | None  # of the tiles; None: as the model that is begun with was trained
    batch: int
    pool: int
    every: int  # steps between validations and between checkpoints


PROCESSOR = _Pace(minutes=90.0, size=128, batch=8, pool=512, every=100)
GPU = _Pace(minutes=5.0, size=None, batch=20, pool=1024, every=500)


def lay_out(config: CifTrainConfig) -> DirectTrainConfig:
    """Lay out the training of a model for a material.

    Parameters
    ----------
    config : CifTrainConfig
        What is known of the micrographs.

    Returns
    -------
    DirectTrainConfig
        A run of so many seconds on simulations that begins with the nearest model (`nearest_model`), or anew if there
        is none.

    Raises
    ------
    GanDenoiseError
        If a CIF file cannot be read or holds no atoms, ASE is not installed, or there is no such device.
    """
    if missing := missing_extra():
        raise GanDenoiseError(missing)
    files = tuple(path.absolute() for path in config.cif)
    formulas = dict.fromkeys(formula(crystal) for path in files for crystal in read_cif(path))
    pace = PROCESSOR if training_device(config.device).type == "cpu" else GPU
    begun = nearest_model(config.mode, config.pixel_size_nm)
    made: dict[str, Any] = {
        "name": config.called,
        "output": config.folder,
        "description": _description(config, list(formulas), begun),
        "device": config.device,
        "seed": config.seed,
        "seconds": 60 * (config.minutes or pace.minutes),
        "batch": pace.batch,
        "pool": pace.pool,
        "fresh": 1,
        "held_out": 8,
        "validate_every": pace.every,
        "checkpoint_every": pace.every,
        **_network(begun, pace),
        **_noise(config, begun),
    }
    cut = configure(DirectTrainConfig, None, {**made, "data": {"kind": "modes"}}).drawn_size
    return configure(DirectTrainConfig, None, {**made, "data": _data(config, begun, int(SIDE * cut), files)})


def _network(begun: Nearest | None, pace: _Pace) -> dict[str, Any]:
    """Say what is trained, by which losses, and what it begins with."""
    if begun is None:
        return {"architecture": OTHER, "rate": ANEW}
    header = begun.model.header
    architecture = header.architecture
    if pace.size is not None and architecture.kind == "unet":
        architecture = architecture.model_copy(update={"size": min(pace.size, architecture.size)})
    recipe = header.training.get("recipe", {"kind": "supervised"})
    return {"architecture": architecture, "recipe": recipe, "start": begun.name, "rate": FROM_ANOTHER}


def _noise(config: CifTrainConfig, begun: Nearest | None) -> dict[str, Any]:
    """Say how tiles are normalised and recorded."""
    tiles = {"pose": "upright", "scale": 0.0, "quarter_turns": True, "near_empty": 1.0}
    if begun is not None and begun.model.header.intensity == "template":
        low, high = (dose * begun.summed**2 for dose in config.dose)
        size = config.pixel_size_nm * begun.summed
        return {"tiles": {**tiles, "intensity": "template"}, "pixel_size_nm": size, "dose": (low, high)}
    kind = "scan" if config.mode == "haadf" else "camera"
    acquisition = {"recorder": kind, "dose": config.dose, "read_noise": READ_NOISE}
    return {"tiles": {**tiles, "intensity": "standard"}, "acquisition": acquisition}


def _data(config: CifTrainConfig, begun: Nearest | None, side: int, files: tuple[Any, ...]) -> dict[str, Any]:
    """Say what is simulated."""
    size = config.pixel_size_nm * (begun.summed if begun is not None else 1)
    return {
        "kind": "modes",
        "scenes": 0.0,
        config.mode: 1.0,
        "side": side + side % 2,
        "together": 16,
        "sampling_nm": (size / (1 + OFF), size * (1 + OFF)),
        "structure": {"kind": "crystal", "cif": files},
        # As plain ranges, since a run does not keep which microscope they are those of.
        "imaging": ImagingConfig(**IMAGING[config.microscope]().model_dump()),
        "probe": ProbeConfig(**PROBES[config.scanning_microscope]().model_dump()),
    }


def _microscope(config: CifTrainConfig) -> str:
    if config.mode == "haadf":
        return SCANNING_MICROSCOPES[config.scanning_microscope].replace("probe-", "")
    return MICROSCOPES[config.microscope].replace("image-", "")


def _description(config: CifTrainConfig, formulas: list[str], begun: Nearest | None) -> str:
    """Describe the model; what stands before the colon is its domain."""
    low, high = config.dose
    kind = begun.model.header.architecture.kind if begun is not None else OTHER.kind
    source = f"begun with {begun.name}" if begun is not None else "trained from nothing"
    return (
        f"{CIF_MODES[config.mode]} of {', '.join(formulas)}: {_microscope(config)}, "
        f"{1e3 * config.pixel_size_nm:.3g} pm/pixel, {low:g} to {high:g} e⁻/pixel; {kind}, {source}."
    )
