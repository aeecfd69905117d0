"""What each part of the main road brings: balanced, one part left out or added at a time, on the held-out frames.

::

    python -m benchmarks.ablation
    python -m benchmarks.ablation --quick    # one small frame: checks that everything runs
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import torch
import typer
from tqdm import tqdm

from benchmarks.heldout import DATA, QUICK, SIMULATION, Frame, few_frames, heldout_frames
from benchmarks.record import RESULTS, write_result
from napari_gandenoise.denoising import denoise
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.residual import step

__all__ = ["main"]


@dataclass(frozen=True)
class Variant:
    """A run without one part: other numbers of the preset, another setting, or a part of the code that does nothing."""

    name: str
    effort: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, Any] | None = None


TOGETHER = {"bank": 2048, "angles": 3, "keep": 2, "brief": 6, "refine": 40}
VARIANTS = (
    Variant("as it is"),
    Variant("without the encoder's proposal", {"propose": False}),
    Variant("three orientations a tile instead of one", {"angles": 3}),
    Variant("with a template bank and brief descent of the best two candidates", {"bank": 2048, "keep": 2, "brief": 6}),
    Variant("40 steps of refinement instead of 12", {"refine": 40}),
    Variant("these three together", TOGETHER),
    Variant("one step of refinement instead of 12", {"refine": 1}),
    Variant("tiles further apart (24 of 64 pixels instead of 18)", {"spacing": 24 / 64}),
    Variant("residual step without comparing patches", code=("similar_patches", lambda *_: iter(()))),
    Variant("residual step without Fourier windows", code=("WINDOWS", ())),
    Variant("without the residual step", settings={"residual_step": False}),
)


def _without(variant: Variant) -> AbstractContextManager[Any]:
    return patch.object(step, *variant.code) if variant.code else nullcontext()


def measure(frames: Sequence[Frame], pixel_size_nm: float) -> Iterator[dict[str, Any]]:
    """Denoise each frame in every way; yield PSNR and processor seconds."""
    for frame in tqdm(frames, desc="frames"):
        for variant in VARIANTS:
            effort = {"balanced": replace(PRESETS["balanced"], **variant.effort)}
            with patch.dict(PRESETS, effort), _without(variant):
                started = time.process_time()
                result = denoise(
                    frame.counts, model="hrtem", pixel_size_nm=pixel_size_nm, preset="balanced", **variant.settings
                )
                seconds = time.process_time() - started
            yield {"name": variant.name, "psnr": psnr(frame.truth, result.rate), "seconds": seconds}


def _rows(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    whole = np.array([one["psnr"] for one in found if one["name"] == VARIANTS[0].name])
    for variant in VARIANTS:
        own = [one for one in found if one["name"] == variant.name]
        change = np.array([one["psnr"] for one in own]) - whole
        rows.append(
            {
                "main road": variant.name,
                "PSNR": float(np.mean(whole + change)),
                "change, dB": float(change.mean()),
                "least": float(change.min()),
                "most": float(change.max()),
                "processor seconds a frame": float(np.mean([one["seconds"] for one in own])),
            }
        )
    return rows


def main(
    frames: Annotated[int, typer.Option(help="How many of the 20 frames.")] = 20,
    quick: Annotated[bool, typer.Option(help="One small frame.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the held-out frames.")] = DATA,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``ablation``."""
    torch.set_num_threads(1)
    taken = few_frames(cache, quick) if quick else heldout_frames(cache)[:frames]
    found = list(measure(taken, (QUICK if quick else SIMULATION).pixel_size_nm))
    notes = (
        f"{len(taken)} of the held-out frames of the table *Denoising*; balanced preset, one part left out or added at "
        "a time. PSNR in dB, data range 1, mean over frames; change against the first row, frame by frame. "
        "Processor seconds on one thread."
    )
    typer.echo(write_result(results, "ablation", "What each part of the main road brings", notes, _rows(found)))


if __name__ == "__main__":
    typer.run(main)
