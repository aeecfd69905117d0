"""Denoise electron micrographs in the latent space of a GAN, under the counting statistics of the detector.

The public names resolve on first use: importing the package alone loads neither torch nor napari nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_gandenoise.batching import BatchResult, batch, batch_steps, open_results
    from napari_gandenoise.comparison import CompareResult, compare, compare_steps
    from napari_gandenoise.denoising import DenoiseResult, denoise, denoise_steps, plan
    from napari_gandenoise.errors import GanDenoiseError
    from napari_gandenoise.inversion.sharpness import sharpness_steps
    from napari_gandenoise.io import read_micrograph, write_tiff
    from napari_gandenoise.micrograph import Micrograph
    from napari_gandenoise.models import list_models, load_model
    from napari_gandenoise.noise import calibrate
    from napari_gandenoise.progress import Progress, drain
    from napari_gandenoise.restoration import RestoreResult, restore, restore_steps
    from napari_gandenoise.settings.batch import BatchConfig
    from napari_gandenoise.settings.compare import CompareConfig
    from napari_gandenoise.settings.denoise import DenoiseConfig
    from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
    from napari_gandenoise.settings.recover import SharpnessConfig
    from napari_gandenoise.settings.restore import RestoreConfig
    from napari_gandenoise.settings.simulate import SimulationConfig
    from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig
    from napari_gandenoise.simulate import simulate_micrograph, simulate_steps
    from napari_gandenoise.training import train_steps

__version__ = "0.1.0"

__all__ = [
    "BatchConfig",
    "BatchResult",
    "CompareConfig",
    "CompareResult",
    "DenoiseConfig",
    "DenoiseResult",
    "DirectTrainConfig",
    "GanDenoiseError",
    "Gaussian",
    "Micrograph",
    "Poisson",
    "PoissonGaussian",
    "Progress",
    "RestoreConfig",
    "RestoreResult",
    "SharpnessConfig",
    "SimulationConfig",
    "TrainConfig",
    "__version__",
    "batch",
    "batch_steps",
    "calibrate",
    "compare",
    "compare_steps",
    "denoise",
    "denoise_steps",
    "drain",
    "list_models",
    "load_model",
    "open_results",
    "plan",
    "read_micrograph",
    "restore",
    "restore_steps",
    "sharpness_steps",
    "simulate_micrograph",
    "simulate_steps",
    "train_steps",
    "write_tiff",
]

_ROOM_OF = {
    "BatchConfig": "batching",
    "BatchResult": "batching",
    "CompareConfig": "comparison",
    "CompareResult": "comparison",
    "DenoiseConfig": "denoising",
    "DenoiseResult": "denoising",
    "GanDenoiseError": "errors",
    "Gaussian": "noise",
    "Micrograph": "micrograph",
    "Poisson": "noise",
    "PoissonGaussian": "noise",
    "Progress": "progress",
    "RestoreConfig": "restoration",
    "RestoreResult": "restoration",
    "SharpnessConfig": "inversion.sharpness",
    "SimulationConfig": "simulate",
    "DirectTrainConfig": "training",
    "TrainConfig": "training",
    "batch": "batching",
    "batch_steps": "batching",
    "calibrate": "noise",
    "compare": "comparison",
    "compare_steps": "comparison",
    "denoise": "denoising",
    "denoise_steps": "denoising",
    "drain": "progress",
    "list_models": "models",
    "load_model": "models",
    "open_results": "batching",
    "plan": "denoising",
    "read_micrograph": "io",
    "restore": "restoration",
    "restore_steps": "restoration",
    "sharpness_steps": "inversion.sharpness",
    "simulate_micrograph": "simulate",
    "simulate_steps": "simulate",
    "train_steps": "training",
    "write_tiff": "io",
}


def __getattr__(name: str) -> Any:
    """Import the room a public name lives in when the name is first asked for (PEP 562)."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
