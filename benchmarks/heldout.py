"""The held-out frames every table is measured on: Pt/CeO2, 6.1 pm/pixel, Poisson counts at vacuum 0.45 e-/pixel.

Structures come from simulation seed 4, on which nothing is ever tuned: the bundled models are trained on seed 1, and
settings are chosen on seed 3.  Frames are drawn in the order of their structure number and kept as long as every
contrast class can still reach its share, so the mix never depends on how well a method does.  Run it once (minutes),
the other benchmarks read its cache::

    python -m benchmarks.heldout
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from napari_gandenoise.settings.simulate import SimulationConfig, StructureConfig
from napari_gandenoise.simulate.generate import SimulatedImage, simulate_images

__all__ = [
    "CONTRASTS",
    "DATA",
    "NOISE_SEED",
    "QUICK",
    "SIMULATION",
    "VACUUM",
    "Frame",
    "few_frames",
    "heldout_frames",
    "middle",
]

DATA = Path(os.environ.get("GANDENOISE_BENCH_DATA", Path.home() / ".cache" / "napari-gandenoise" / "benchmarks"))
VACUUM = 0.45  # electrons per pixel
NOISE_SEED = 3  # the counts of structure i are drawn with seed (NOISE_SEED, i)
CONTRASTS = ("white", "black", "intermediate")
SIMULATION = SimulationConfig(
    structures=20,
    images_per_structure=1,
    seed=4,
    structure=StructureConfig(metals=("Pt",), supported_fraction=1.0),
    pixel_size_nm=0.0061,
    shape=1200,
)
QUICK = SIMULATION.model_copy(update={"structures": 2, "shape": 400})


class Frame(NamedTuple):
    """One held-out frame: clean rate and counts ``(Y, X)`` in electrons per pixel."""

    structure: int
    contrast: str
    truth: NDArray[np.float32]
    counts: NDArray[np.uint16]


def _balanced(config: SimulationConfig, count: int, least: int) -> Iterator[tuple[int, SimulatedImage]]:
    """Draw structures in order; skip a frame only if keeping it would starve another contrast class."""
    seen: Counter[str] = Counter()
    structure = 0
    while seen.total() < count:
        simulated = simulate_images(config, structure)[0]
        after = seen + Counter({simulated.contrast: 1})
        missing = sum(max(0, least - after[contrast]) for contrast in CONTRASTS)
        if missing <= count - after.total():
            seen = after
            yield structure, simulated
        structure += 1


def _draw(config: SimulationConfig, least: int) -> Iterator[Frame]:
    for structure, simulated in _balanced(config, config.structures, least):
        truth = (VACUUM * simulated.pixels).astype(np.float32)
        counts = np.random.default_rng((NOISE_SEED, structure)).poisson(truth).astype(np.uint16)
        yield Frame(structure, simulated.contrast, truth, counts)


def heldout_frames(cache: Path = DATA, *, config: SimulationConfig = SIMULATION, least: int = 5) -> list[Frame]:
    """Read the held-out frames, simulating them first if they are not in ``cache`` yet.

    Parameters
    ----------
    cache : pathlib.Path
        Folder for ``heldout.npz``: arrays ``structure``, ``contrast``, ``truth`` and ``counts`` ``(N, Y, X)``.
    config : SimulationConfig
        What to simulate; the tests use a small one.
    least : int
        Smallest number of frames of each contrast class.
    """
    path = cache / "heldout.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        frames = list(tqdm(_draw(config, least), total=config.structures, desc="held-out frames"))
        unfinished = path.with_suffix(".tmp.npz")
        np.savez(
            unfinished,
            structure=[f.structure for f in frames],
            contrast=[f.contrast for f in frames],
            truth=np.stack([f.truth for f in frames]),
            counts=np.stack([f.counts for f in frames]),
            simulation=config.model_dump_json(),
        )
        unfinished.replace(path)
    with np.load(path) as stored:
        columns = (stored[name] for name in Frame._fields)
        return [Frame(int(s), str(c), truth, counts) for s, c, truth, counts in zip(*columns, strict=True)]


def few_frames(cache: Path, quick: bool) -> list[Frame]:
    """Take the first held-out frame of each contrast class; quick: one small frame, simulated anew."""
    if quick:
        with tempfile.TemporaryDirectory() as scratch:
            return heldout_frames(Path(scratch), config=QUICK, least=0)[:1]
    return _one_of_each(heldout_frames(cache))


def _one_of_each(frames: Sequence[Frame]) -> list[Frame]:
    """Take the first frame of each contrast class."""
    return [next(frame for frame in frames if frame.contrast == contrast) for contrast in CONTRASTS]


def middle(image: NDArray[Any], side: int) -> NDArray[Any]:
    """Square in the middle of an image."""
    top, left = ((extent - side) // 2 for extent in image.shape)
    return image[top : top + side, left : left + side]


def main(cache: Path = DATA) -> None:
    """Make the held-out frames (or find them made) and print what they hold."""
    for frame in heldout_frames(cache):
        typer.echo(
            f"structure {frame.structure:3d}  {frame.contrast:12s}  mean {frame.truth.mean():.3f} e-/pixel  "
            f"standard deviation {frame.truth.std():.4f}"
        )


if __name__ == "__main__":
    typer.run(main)
