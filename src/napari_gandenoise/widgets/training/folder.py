"""What a training run has left in its folder: settings, history, checkpoints, model."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.finetuning.comparison import PSNR, TESTED, is_of_cif
from napari_gandenoise.io.declared import check_zip
from napari_gandenoise.models import load_model
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.text import read_yaml
from napari_gandenoise.settings.train import AnyTrainConfig, DirectTrainConfig, read_training
from napari_gandenoise.training import TrainPreview

__all__ = ["RunFolder", "length_of", "read_run"]

CHECKPOINT = re.compile(r"checkpoint-(\d+)\.safetensors")


@dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Attributes
    ----------
    config : TrainConfig or DirectTrainConfig
        The run's own settings, with the folder where it lies now as output.
    step : int
        Step of the latest checkpoint; 0 if there is none.
    history : list of (int, dict)
        Values by step, up to that checkpoint.
    """

    config: AnyTrainConfig
    step: int
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @property
    def model(self) -> Path | None:
        """The model file, if there is one yet."""
        path = self.config.output / f"{self.config.name}.safetensors"
        return path if path.exists() else None

    def preview(self) -> TrainPreview | None:
        """Read the latest samples that the run has shown, if they are there."""
        try:
            path = self.config.output / "preview.npz"
            if not path.is_file():
                return None
            check_zip(path)
            with np.load(path, allow_pickle=False) as stored:
                return TrainPreview(np.asarray(stored["samples"]), np.asarray(stored["real"]))
        except Exception:  # a damaged file can make the reader fail in any way
            return None

    @property
    def steps(self) -> int:
        """Steps of the whole run, of all its stages."""
        return sum(self.config.stages.values())

    @property
    def timed(self) -> bool:
        """Whether seconds say when the run ends, and not steps."""
        return isinstance(self.config, DirectTrainConfig) and self.config.seconds is not None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        if self.timed or is_of_cif(self.config):
            # Only its model tells how far such a run has come: it is tested at the end, then compared.
            wanted = PSNR if is_of_cif(self.config) else TESTED
            return any(name.startswith(wanted) for name in self.metrics)
        return self.step >= self.steps

    @property
    def metrics(self) -> dict[str, float]:
        """Figures of the model, if there is one yet that can be read."""
        try:
            return {} if self.model is None else load_model(self.model).header.metrics
        except GanDenoiseError:
            return {}

    def summary(self) -> str:
        """Say what is in the folder, and what can be done with it."""
        done = f"{self.step:,} steps" if self.timed else f"{self.step:,} of {self.steps:,} steps"
        if self.finished:
            figures = [f"{name}: {value:.2f} dB." for name, value in self.metrics.items() if name.startswith(PSNR)]
            said = [f"This folder holds a finished run ({done}).", *figures]
            return " ".join([*said, "New run sets up another one."])
        return f"This folder holds a run ({done}). Resume goes on with it, New run sets up another one."

    def in_background(self) -> str:
        """Say how far it is while it goes on without a window."""
        done = f"{self.step:,} steps" if self.timed else f"{self.step:,} of {self.steps:,} steps"
        return f"This run goes on in the background, without a window ({done} at its last checkpoint)."


def length_of(config: AnyTrainConfig) -> str:
    """Say how long a run is."""
    if isinstance(config, DirectTrainConfig):
        if config.seconds is not None:
            return f"{config.seconds / 60:.3g} minutes"
        # The held-out images are tested at the end, which is no training.
        return f"{sum(steps for stage, steps in config.stages.items() if stage != 'test'):,} steps"
    return f"{config.steps:,} steps"


def read_run(folder: Path) -> RunFolder | None:
    """Read the run in a folder; None if it holds none.

    Raises
    ------
    GanDenoiseError
        If there are checkpoints but the settings cannot be read.
    """
    if not folder.is_dir():
        return None
    files = (path.name for path in folder.glob("checkpoint-*.safetensors") if path.is_file())
    found = [CHECKPOINT.fullmatch(name) for name in files]
    steps = [int(match[1]) for match in found if match is not None]
    if not steps:
        return None
    settings = folder / "config.yaml"
    try:
        config = read_training({**read_yaml(settings), "output": folder})
        if isinstance(config, CifTrainConfig):
            raise TypeError("a run keeps what was laid out for it")
    except (OSError, TypeError, GanDenoiseError):
        raise GanDenoiseError(
            f"{folder} holds checkpoints, but its config.yaml cannot be used: choose another folder for the run."
        ) from None
    return RunFolder(config, max(steps), _history(folder / "history.csv", max(steps)))


def _history(path: Path, last: int) -> list[tuple[int, dict[str, float]]]:
    """Read the table of values; a damaged one is no history, which is no reason not to go on."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        return [(int(row.pop("step")), row) for row in rows if row["step"] <= last]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error):
        return []
