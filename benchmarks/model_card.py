"""Write the figures of a table of held-out frames into a bundled model's header, where its card shows them.

::

    python -m benchmarks.denoising
    python -m benchmarks.model_card
    python -m benchmarks.direct --only heldout
    python -m benchmarks.model_card --name hrtem-unet
    python -m benchmarks.modes --peer
    python -m benchmarks.model_card --name micrographs
    python -m benchmarks.model_card --name colour
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.record import RESULTS
from napari_gandenoise.models import load_model, save_model

__all__ = ["main"]

BM3D = {"BM3D, best bin": "held-out PSNR of BM3D at its best bin, dB"}
# The table of each model, its column, and what the card calls its rows.
TABLES = {
    "hrtem": (
        "denoising",
        "PSNR",
        {
            "ours, balanced": "held-out PSNR, dB",
            "generator alone (no residual step)": "held-out PSNR without the residual step, dB",
            **BM3D,
        },
    ),
    "hrtem-unet": (
        "direct_heldout",
        "PSNR",
        {
            "U-Net, 4 views, residual step": "held-out PSNR, dB",
            "U-Net, 1 view": "held-out PSNR in one view without the residual step, dB",
            **BM3D,
        },
    ),
    "micrographs": (
        "modes",
        "mean",
        {
            "ours, micrographs": "PSNR on another group's test pairs of five modes, dB",
            "BM3D, best σ": "PSNR of BM3D with the best strength there, dB",
        },
    ),
    "colour": (
        "modes_photographs",
        "mean",
        {
            "ours, colour": "PSNR on four photographs at σ = 15, 25 and 50, dB",
            "colour BM3D": "PSNR of colour BM3D there, dB",
        },
    ),
}


def main(
    name: Annotated[str, typer.Option(help="Name of a bundled model.")] = "hrtem",
    results: Annotated[Path, typer.Option(help="Folder of the tables.")] = RESULTS,
) -> None:
    """Rewrite the model file with its figures; its weights stay as they are."""
    source, column, rows = TABLES[name]
    table = json.loads((results / f"{source}.json").read_text())
    psnr = {row["method"]: row[column] for row in table["rows"]}
    model = load_model(name)
    assert model.path is not None
    figures = {label: round(psnr[row], 2) for row, label in rows.items()}
    header = model.header.model_copy(update={"metrics": {**model.header.metrics, **figures}})
    save_model(model.path, replace(model, header=header))
    typer.echo("\n".join(f"{label}: {value}" for label, value in figures.items()))


if __name__ == "__main__":
    typer.run(main)
