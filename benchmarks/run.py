"""Run every benchmark and put the tables together in ``RESULTS.md``.

::

python -m benchmarks.run            # the first run takes more than an hour
python -m benchmarks.run --quick    # minutes; written to a scratch folder
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.record import RESULTS

__all__ = ["assemble", "main"]

# Each with the tables it writes.
BENCHMARKS = {
    "denoising": ("denoising",),
    "ablation": ("ablation",),
    "model_limits": ("model_limits",),
    "comparison": ("comparison",),
    "baseline_settings": ("baseline_settings",),
    "speed": ("speed",),
    "scaling": ("scaling_size", "scaling_frames"),
    "dose_curve": ("dose_curve",),
    "coverage": ("coverage",),
    "samples": ("samples", "samples_all", "samples_search", "samples_columns", "samples_times"),
    "false_atoms": ("false_atoms",),
    "columns": ("columns",),
    "seams": ("seams",),
    "defects": ("defects",),
    "adaptation": ("adaptation",),
    "verdict": ("verdict",),
    "movies": ("movies", "movies_arrivals"),
    "first_model": ("first_model",),
    "inversion_speed": ("inversion_speed", "inversion_retirement"),
    "optimisers": ("optimisers", "optimisers_alike"),
    "direct": ("direct_heldout", "direct_doses", "direct_photographs", "direct_large"),
    "modes": (
        "modes",
        "modes_frames",
        "modes_materials",
        "modes_materials_frames",
        "modes_columns",
        "modes_photographs",
        "modes_photographs_frames",
        "modes_speed",
    ),
    "photographs": ("photographs", "photographs_denoising"),
    "study": ("study", "study_restarts", "study_optimisers"),
    "recovery": ("recovery_clipping", "recovery_sharpness", "recovery_peers"),
    "restoration": ("restoration",),
    "batch": ("batch", "batch_movies"),
    "data_wait": ("data_wait",),
    "training_speed": ("training_speed",),
    "simulation_speed": ("simulation_speed",),
    "responsiveness": ("responsiveness",),
    "window": ("window",),
}
# These need what the user has to fetch, or a GPU.
ELSEWHERE = ("formats", "gpu", "gpu_precision", "movies_peer", "movies_real")
HEADING = "# Results\n\nMade by `make bench`; each table names its own command.\n\n"


def main(quick: Annotated[bool, typer.Option(help="Small versions of all tables, kept apart.")] = False) -> None:
    """Run every benchmark in its own process, then print and write all tables."""
    results = Path(tempfile.mkdtemp(prefix="gandenoise-bench-")) if quick else RESULTS
    for benchmark in BENCHMARKS:
        options = ["--quick", "--results", str(results)] if quick else []
        subprocess.run([sys.executable, "-m", f"benchmarks.{benchmark}", *options], check=True)
    page = results.parent / "RESULTS.md" if not quick else results / "RESULTS.md"
    assemble(results, page)
    typer.echo(f"All tables: {page}")


def assemble(results: Path, page: Path) -> None:
    """Put the tables that stand in ``results`` on one page; one that was never made is named as missing."""
    written = [table for tables in BENCHMARKS.values() for table in tables]
    tables = [results / f"{table}.md" for table in (*written, *ELSEWHERE)]
    page.write_text(HEADING + "\n".join(t.read_text() if t.exists() else f"*{t.stem}: not run yet*\n" for t in tables))


if __name__ == "__main__":
    typer.run(main)
