"""Commands that make models and what they learn from."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.manifest._palette import called_bare, validated

__all__ = ["simulate", "train"]


def simulate(config: Any = None, output: str | PathLike[str] | None = None, dose: float | None = None) -> Any:
    """Simulate images of any mode; called bare, as from the command palette, open the Simulate panel.

    Parameters
    ----------
    config : SimulationConfig or mapping, optional
        The ranges to draw from: ``{"shape": 400, "structure": {"metals": ["Au"]}}``; ``{}`` for the defaults.
    output : path, optional
        Zarr group: write a set of clean images there.  Without it, one micrograph is made.
    dose : float, optional
        Electrons per pixel in vacuum, or of a scanning beam, of one micrograph.

    Returns
    -------
    SimulatedMicrograph, pathlib.Path or None
        The micrograph, or the path of the set, or None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if called_bare("Simulate", "config", config, output, dose):
        return None
    from napari_gandenoise.models.device import choose_device
    from napari_gandenoise.progress import drain
    from napari_gandenoise.settings.simulate import SimulationConfig
    from napari_gandenoise.simulate import missing_extra, simulate_micrograph, simulate_steps

    settings = validated(SimulationConfig, config)
    if missing := missing_extra(settings):
        raise GanDenoiseError(missing)
    device = choose_device(settings.device)
    if output is None:
        return simulate_micrograph(settings, dose, device=device)
    if dose is not None:
        raise GanDenoiseError("A set holds clean images: leave out the dose, or leave out the output.")
    return drain(simulate_steps(settings, Path(output), device))


def train(config: Any = None, *, resume: bool = False) -> Path | None:
    """Train a model; called bare, as from the command palette, open the Train panel.

    Parameters
    ----------
    config : TrainConfig, DirectTrainConfig, CifTrainConfig or mapping, optional
        Settings of the run: ``{"name": "gold", "data": {"kind": "simulated", "path": "gold.zarr"}, "output": "runs"}``,
        or ``{"cif": "SrTiO3.cif", "minutes": 30}`` for a model of one material.
    resume : bool
        Whether to go on from the last checkpoint in the output folder.

    Returns
    -------
    pathlib.Path or None
        The model file, or None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the settings or the data cannot be used, or nothing is given and there is no viewer.
    """
    if called_bare("Train", "config", config, resume):
        return None
    from napari_gandenoise.finetuning import run_steps
    from napari_gandenoise.progress import drain
    from napari_gandenoise.settings.cif import CifTrainConfig
    from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig, read_training

    ready = isinstance(config, TrainConfig | DirectTrainConfig | CifTrainConfig)
    return drain(run_steps(config if ready else read_training(config), resume))
