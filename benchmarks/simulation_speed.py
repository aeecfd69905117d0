"""Images per second of a simulated set, beside abTEM, and how far both are from multislice on a fine grid.

Both image the same particle on its support, from its atoms, under the same conditions.  abTEM works on the grid of the
images, as one would use it, and once on half its pixel size, which is what both are measured against.  Neither is timed
when it runs for the first time: what is computed once for each element counts for nothing in a set.

::

    python -m benchmarks.simulation_speed
    python -m benchmarks.simulation_speed --quick
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.record import RESULTS, write_result

__all__ = ["main"]

SAMPLING_NM, IMAGES, SEED = 0.0183, 8, 7
VIBRATION_NM = 0.007  # about that of platinum at room temperature
Simulator = Callable[[], NDArray[np.float32]]


def main(
    field: Annotated[float, typer.Option(help="Side of the field of view, nm.")] = 8.2,
    repeats: Annotated[int, typer.Option(help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="Once, a field of 3 nm.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``simulation_speed.json`` and ``simulation_speed.md``."""
    if quick:
        field, repeats = 3.0, 1
    from napari_gandenoise.settings.simulate import ImagingConfig, StructureConfig
    from napari_gandenoise.simulate.conditions import draw_conditions
    from napari_gandenoise.simulate.structures import build_structure

    rng = np.random.default_rng(SEED)
    structure = StructureConfig(metals=("Pt",), diameter_nm=(field / 3, field / 2), supported_fraction=1.0)
    atoms = build_structure(structure, rng, field)
    conditions = [draw_conditions(ImagingConfig(), rng)._replace(blur_nm=0.0) for _ in range(IMAGES)]
    pixels = round(field / SAMPLING_NM)
    truth = _coarse(_by_abtem(atoms, conditions, 2 * pixels), pixels)
    simulators: dict[str, Simulator] = {
        "abTEM": lambda: _by_abtem(atoms, conditions, pixels),
        "ours": lambda: _ours(atoms, conditions, pixels, "cpu"),
    }
    if torch.cuda.is_available():
        simulators["ours, GPU"] = lambda: _ours(atoms, conditions, pixels, "cuda")
    rows = []
    for name, simulate in simulators.items():
        images, seconds = _timed(simulate, repeats)
        rows.append(_row(name, images, seconds, truth))
    for row in rows:
        row["of abTEM"] = row["images/s"] / rows[0]["images/s"]
    notes = (
        f"Pt on CeO2, {len(atoms)} atoms, {IMAGES} images of {pixels} x {pixels} pixels of one structure, 300 kV; "
        f"median of {repeats} run(s), {torch.get_num_threads()} thread(s). RMS: difference from abTEM on half the "
        "pixel size, of vacuum. "
        f"Load average at the end: {os.getloadavg()[0]:.1f}."
    )
    typer.echo(write_result(results, "simulation_speed", "Simulation beside abTEM", notes, rows, seed=SEED))


def _timed(simulate: Simulator, repeats: int) -> tuple[NDArray[np.float32], float]:
    seconds = []
    images = simulate()
    for _ in range(repeats):
        started = time.perf_counter()
        images = simulate()
        seconds.append(time.perf_counter() - started)
    return images, statistics.median(seconds)


def _row(name: str, images: NDArray[np.float32], seconds: float, truth: NDArray[np.float32]) -> dict[str, Any]:
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, truth, strict=True)]
    return {
        "method": name,
        "seconds": seconds,
        "images/s": len(images) / seconds,
        "RMS": float(np.sqrt(np.mean((images - truth) ** 2))),
        "correlation": float(np.mean(correlations)),
    }


def _ours(atoms: Any, conditions: list[Any], pixels: int, device: str) -> NDArray[np.float32]:
    from napari_gandenoise.simulate.multislice import exit_waves
    from napari_gandenoise.simulate.optics import hrtem_images

    wave = exit_waves([atoms], conditions[0].energy_kev, pixels, device, vibration_nm=VIBRATION_NM)
    return hrtem_images(wave, conditions).cpu().numpy()


def _by_abtem(atoms: Any, conditions: list[Any], pixels: int) -> NDArray[np.float32]:
    import abtem
    from abtem.parametrizations import LobatoParametrization

    smeared = LobatoParametrization(sigmas=dict.fromkeys(set(atoms.get_chemical_symbols()), 10 * VIBRATION_NM))
    potential = abtem.Potential(
        atoms, gpts=pixels, slice_thickness=2.0, projection="infinite", parametrization=smeared
    ).build(lazy=False)
    wave = abtem.PlaneWave(energy=conditions[0].energy_kev * 1e3).multislice(potential, lazy=False)
    images = []
    for c in conditions:
        lens = abtem.CTF(
            energy=c.energy_kev * 1e3, semiangle_cutoff=c.aperture_mrad, soft=True, Cs=c.cs_um * 1e4,
            defocus=c.defocus_nm * 10, astigmatism=c.astigmatism_nm * 10, astigmatism_angle=c.astigmatism_angle,
            focal_spread=c.focal_spread_nm * 10,
        )  # fmt: skip
        images.append(np.asarray(wave.apply_ctf(lens).intensity().array, np.float32).T)
    return np.stack(images)


def _coarse(images: NDArray[np.float32], pixels: int) -> NDArray[np.float32]:
    from napari_gandenoise.simulate.resampling import resample

    return resample(torch.from_numpy(images), pixels).numpy()


if __name__ == "__main__":
    typer.run(main)
