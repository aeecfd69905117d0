"""Adaptation: what tuning a model to the image itself brings on frames unlike those it was trained on, and like them.

Foreign frames are of crystals whose structure types no model here has met, in two modes, at three doses; own frames are
the held-out ones.  Either are denoised by the bundled U-Net as it is and adapted, in four views::

    python -m benchmarks.adaptation          # half an hour
    python -m benchmarks.adaptation --quick  # two small frames
    python -m benchmarks.adaptation --figure docs/images/adaptation.png
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.heldout import DATA, SIMULATION, few_frames, heldout_frames
from benchmarks.materials import CRYSTALS, DOSES, PIXEL_NM, exposed
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr

__all__ = ["main"]

SIDE, SEED = 320, 12  # another seed than that of the frames on which a model is chosen


class Case(NamedTuple):
    """A frame of a kind: counts, their rate and the rate's data range, electrons a pixel; its pixel size."""

    kind: str
    counts: NDArray[Any]
    truth: NDArray[np.float32]
    unit: float
    pixel_size_nm: float


def cases(quick: bool, cache: Path) -> Iterator[Case]:
    """Yield all frames, kind after kind."""
    for mode in ("HRTEM", "HAADF"):
        for dose in DOSES[1:2] if quick else DOSES:
            for number, (counts, truth) in enumerate(exposed(mode, dose, 96 if quick else SIDE, SEED)):
                yield Case(f"foreign, {mode}, {dose:g} e-/pixel", counts, truth, dose, PIXEL_NM)
                if quick and number == 0:
                    break
    for frame in few_frames(cache, quick=True) if quick else heldout_frames(cache):
        yield Case("own, Pt/CeO2", frame.counts, frame.truth, 1.0, SIMULATION.pixel_size_nm)


def measure(case: Case) -> dict[str, Any]:
    """Denoise a frame as it comes, and adapted."""
    before = denoise(case.counts, model="hrtem-unet", pixel_size_nm=case.pixel_size_nm)
    started = time.perf_counter(), time.process_time()
    after = denoise(case.counts, model="hrtem-unet", pixel_size_nm=case.pixel_size_nm, adapt="auto")
    seconds, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    first, second = (psnr(case.truth / case.unit, result.rate / case.unit) for result in (before, after))
    assert after.adaptation is not None
    return {
        "frames": case.kind,
        "before": first,
        "after": second,
        "gain": second - first,
        "kept": after.adaptation.kept,
        "judged": after.adaptation.change,
        "error": after.adaptation.error,
        "seconds": seconds,
        "processor": processor,
    }


def summary(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the frames of a kind into one row."""
    gains = [row["gain"] for row in rows]
    return {
        "frames": kind,
        "number": len(rows),
        "as it comes": float(np.mean([row["before"] for row in rows])),
        "adapted": float(np.mean([row["after"] for row in rows])),
        "gain, dB": float(np.mean(gains)),
        "least": min(gains),
        "most": max(gains),
        "given up": sum(not row["kept"] for row in rows),
        "processor seconds a frame": float(np.mean([row["processor"] for row in rows])),
    }


def draw(path: Path) -> None:
    """Draw one foreign frame: counts, as the model cleans it as it comes and adapted, and truth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts, truth = next(iter(exposed("HRTEM", 5.0, 256)))
    shown = {"counts, 5 e-/pixel": counts}
    for title, adapt in (("U-Net as it comes", "off"), ("adapted to these counts", "on")):
        rate = denoise(counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, adapt=adapt).rate
        shown[f"{title}, {psnr(truth / 5, rate / 5):.1f} dB"] = rate
    shown["truth"] = truth
    low, high = np.quantile(truth, (0.002, 0.998))
    figure, axes = pyplot.subplots(1, len(shown), figsize=(13.6, 3.7), layout="constrained")
    for axis, (title, image) in zip(axes, shown.items(), strict=True):
        axis.imshow(image[64:192, 64:192], "gray", vmin=low, vmax=high)
        axis.set_title(title)
        axis.set_axis_off()
    figure.savefig(path, dpi=100)


def main(
    figure: Annotated[Path | None, typer.Option(help="Draw this picture of one frame, and no table.")] = None,
    quick: Annotated[bool, typer.Option(help="Two small frames and one of our own.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Adapt to all frames and write the table."""
    if figure is not None:
        draw(figure)
        return
    measured = [measure(case) for case in tqdm(cases(quick, cache), desc="frames")]
    kinds = list(dict.fromkeys(row["frames"] for row in measured))
    foreign = [row for row in measured if row["frames"].startswith("foreign")]
    rows = [summary(kind, [row for row in measured if row["frames"] == kind]) for kind in kinds]
    rows.insert(len(kinds) - 1, summary("foreign, all", foreign))
    notes = (
        "The bundled U-Net as it comes and adapted to each frame alone, preset balanced. Foreign: "
        f"{len(CRYSTALS)} crystals of structure types that it was not trained on, in HRTEM and in HAADF at "
        f"{1e3 * PIXEL_NM:g} pm a pixel, {SIDE} pixels a side, PSNR with the mean as data range; own: the held-out "
        "frames of the table *Denoising*. PSNR in dB, means over frames. Given up: frames whose held-out evidence was "
        "against the adaptation, so that it was not used. Processor seconds: of denoising with adaptation. No setting "
        "was chosen on these frames."
    )
    typer.echo(write_result(results, "adaptation", "Adaptation to the image", notes, rows, frames=measured))


if __name__ == "__main__":
    typer.run(main)
