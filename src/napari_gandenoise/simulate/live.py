"""Simulated images of any mode one by one, each under conditions of its own: training draws them while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Steps
from napari_gandenoise.settings.simulate import ScenesConfig, SimulationConfig
from napari_gandenoise.simulate.generate import draw_scene, make_specimen, scan_specimen
from napari_gandenoise.simulate.micrograph import missing_extra

if TYPE_CHECKING:
    import torch

__all__ = ["LiveSet", "live_steps", "open_live"]


class LiveSet(Protocol):
    """Structures, and images of them."""

    def specimen(self, structure: int) -> Any:
        """Return what all images of a structure have in common, to be kept for the next one."""

    def image(self, specimen: Any, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw conditions and return the image ``(Y, X)`` on the config's grid."""


class _ScannedSet:
    """Atoms, built anew and imaged with a probe."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config

    def specimen(self, structure: int) -> Any:
        return make_specimen(self.config, np.random.default_rng((self.config.seed, structure)))

    def image(self, specimen: Any, rng: np.random.Generator) -> NDArray[np.float32]:
        from napari_gandenoise.simulate.probe import draw_probe

        assert self.config.mode != "hrtem"
        probe = draw_probe(self.config.probe, rng, self.config.mode)
        image: NDArray[np.float32] = scan_specimen(self.config, specimen, [probe])[0]
        return image


class _SceneSet:
    """Scenes, no two of which have anything in common."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config

    def specimen(self, structure: int) -> None:
        pass

    def image(self, specimen: None, rng: np.random.Generator) -> NDArray[np.float32]:  # noqa: ARG002 - there is none
        return draw_scene(self.config, rng)


def live_steps(config: SimulationConfig, waves: Path, device: torch.device | str | None = None) -> Steps[None]:
    """Make ready what `open_live` opens: the exit waves of HRTEM; other modes need nothing.

    Parameters
    ----------
    config : SimulationConfig
        What is simulated.
    waves : pathlib.Path
        Where exit waves are kept.
    device : torch.device or str, optional
        Where to compute; by default what ``config.device`` says, and the processor if that is auto.

    Yields
    ------
    Progress
        Stage "prepare".

    Raises
    ------
    GanDenoiseError
        If ASE is missing, or ``waves`` holds something else.
    """
    if _has_waves(config):
        from napari_gandenoise.simulate.waves import wave_steps

        yield from wave_steps(config, waves, device)
    elif missing := missing_extra(config):
        raise GanDenoiseError(missing)


def open_live(config: SimulationConfig, waves: Path) -> LiveSet:
    """Open a set whose images are made when they are asked for.

    Raises
    ------
    GanDenoiseError
        If exit waves are missing.
    """
    if _has_waves(config):
        from napari_gandenoise.simulate.waves import WaveSet

        return WaveSet(config, waves)
    return _SceneSet(config) if isinstance(config.structure, ScenesConfig) else _ScannedSet(config)


def _has_waves(config: SimulationConfig) -> bool:
    return config.mode == "hrtem" and not isinstance(config.structure, ScenesConfig)
