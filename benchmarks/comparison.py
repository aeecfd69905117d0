"""Every method beside the others on the sample micrograph, against its truth: one table and one figure.

::

    python -m benchmarks.comparison            # minutes
    python -m benchmarks.comparison --quick    # seconds: a small piece, the fast preset, and every metric
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.heldout import middle
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.cli import drain_with_bar
from napari_gandenoise.comparison import compare_steps
from napari_gandenoise.settings.compare import ALL, CompareConfig
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

__all__ = ["main"]

FIGURE = Path("docs/images/comparison.png")
QUICK_SIDE = 192


def main(
    quick: Annotated[bool, typer.Option(help="A small piece and the fast preset; no figure.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Compare, write ``comparison.json`` and ``comparison.md``, and draw the figure."""
    noisy, truth = sample_micrograph(seed=0), sample_truth()
    if quick:
        noisy, truth = (replace(image, pixels=middle(image.pixels, QUICK_SIDE)) for image in (noisy, truth))
    config = CompareConfig(
        methods=(*ALL, "model:hrtem-unet"),
        model="hrtem",
        preset="fast" if quick else "balanced",
        data_range=1,
        replicates=2 if quick else 0,
        splitting=quick,
    )
    result = drain_with_bar(compare_steps(noisy, config, truth=truth))
    side = noisy.pixels.shape[0]
    notes = (
        f"Sample micrograph, {side} x {side} pixels of 6.1 pm, noise seed 0. {result.caption()} Strengths come from "
        "the noise model, or were tuned on simulation seed 3; rows named oracle look at the truth. *Spectrum error*: "
        "of the radial amplitude spectrum, 1 for a flat image. *Seconds*: one run on all cores; load average at the "
        f"end {os.getloadavg()[0]:.1f}."
    )
    typer.echo(write_result(results, "comparison", "Methods beside each other", notes, result.table(), seed=0))
    if not quick:
        result.write_figure(FIGURE)


if __name__ == "__main__":
    typer.run(main)
