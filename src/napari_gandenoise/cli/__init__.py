"""The command line: a thin door to the same jobs and configurations as Python and the widgets.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from napari_gandenoise.cli import models
from napari_gandenoise.cli._options import taking
from napari_gandenoise.cli._progress import drain_with_bar, tell
from napari_gandenoise.cli.adapt import adapt
from napari_gandenoise.cli.batch import batch
from napari_gandenoise.cli.columns import columns
from napari_gandenoise.cli.compare import compare
from napari_gandenoise.cli.images import denoise, recover, restore
from napari_gandenoise.cli.sharpness import sharpness
from napari_gandenoise.cli.simulate import simulate
from napari_gandenoise.cli.train import train
from napari_gandenoise.errors import GanDenoiseError

__all__ = ["app", "drain_with_bar", "main"]

app = typer.Typer(
    name="napari-gandenoise",
    help="Denoise electron micrographs in the latent space of a GAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command, *settings in (
    (denoise, "denoise:DenoiseConfig"),
    (adapt, "denoise:DenoiseConfig"),
    (restore, "restore:RestoreConfig"),
    (columns, "columns:ColumnsConfig"),
    (batch, "batch:BatchConfig"),
    (compare, "compare:CompareConfig"),
    (simulate, "simulate:SimulationConfig"),
    (train, "train:TrainConfig", "train:DirectTrainConfig", "cif:CifTrainConfig"),
    (recover, "recover:RecoverConfig"),
    (sharpness, "recover:SharpnessConfig"),
):
    app.command(cls=taking(*settings))(command)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line; what the user can put right is one sentence on stderr and exit code 1."""
    try:
        app()
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error))
    except (GanDenoiseError, FloatingPointError) as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    tell(sentence)
    sys.exit(1)
