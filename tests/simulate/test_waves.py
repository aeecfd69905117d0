"""Exit waves on disk: those of the simulation, kept whole, continued after a stop."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
import zarr

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.simulate import ImagingConfig, SimulationConfig, StructureConfig
from napari_gandenoise.simulate import simulate_images
from napari_gandenoise.simulate.generate import make_wave
from napari_gandenoise.simulate.waves import WaveSet, wave_steps

pytest.importorskip("ase")

TINY = SimulationConfig(
    structures=2,
    images_per_structure=1,
    pixel_size_nm=0.03,
    shape=100,
    seed=1,
    structure=StructureConfig(diameter_nm=(1.0, 1.0), supported_fraction=0.0),
)


def test_an_image_of_a_kept_wave_is_the_simulated_one(tmp_path):
    waves = WaveSet(TINY, drain(wave_steps(TINY, tmp_path / "waves.zarr")))
    for structure in (0, 1):
        rng = np.random.default_rng((TINY.seed, structure))
        fresh, _ = make_wave(TINY, rng)  # leaves the generator where the conditions are drawn
        kept = waves.specimen(structure)
        torch.testing.assert_close(kept.waves, fresh.waves, rtol=0, atol=0)
        torch.testing.assert_close(kept.projected_potential, fresh.projected_potential, rtol=0, atol=0)
        assert kept.pixel_size_nm == pytest.approx(fresh.pixel_size_nm)
        (expected,) = simulate_images(TINY, structure)
        np.testing.assert_array_equal(waves.image(kept, rng), expected.pixels)


@pytest.mark.slow
def test_another_process_makes_the_same_images_bit_by_bit(tmp_path):
    path = drain(wave_steps(TINY, tmp_path / "waves.zarr"))
    code = f"""
import hashlib, numpy as np
from pathlib import Path
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate.waves import WaveSet
waves = WaveSet(SimulationConfig.model_validate_json({TINY.model_dump_json()!r}), Path({str(path)!r}))
images = [waves.image(waves.specimen(0), np.random.default_rng(i)) for i in range(4)]
print(hashlib.sha256(np.stack(images).tobytes()).hexdigest())
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    waves = WaveSet(TINY, path)
    images = [waves.image(waves.specimen(0), np.random.default_rng(i)) for i in range(4)]
    here = hashlib.sha256(np.stack(images).tobytes()).hexdigest()
    assert run.stdout.split()[-1] == here


def test_a_set_that_was_stopped_is_continued(tmp_path):
    path = tmp_path / "waves.zarr"
    steps = wave_steps(TINY, path)
    event = next(steps)
    steps.close()
    assert (event.stage, event.done, event.total) == ("prepare", 1, 2)
    first = np.asarray(zarr.open_group(path, mode="r")["waves"][0])
    with pytest.raises(GanDenoiseError, match="holds 1 of 2 exit waves"):
        WaveSet(TINY, path)
    assert [event.done for event in wave_steps(TINY, path)] == [2]
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["waves"][0], first)
    assert len(zarr.open_group(path, mode="r").attrs["formulas"]) == 2
    assert list(wave_steps(TINY, path)) == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["waves.zarr"]


def test_imaging_ranges_may_change_and_the_rest_may_not(tmp_path):
    path = drain(wave_steps(TINY, tmp_path / "waves.zarr"))
    other = TINY.model_copy(update={"imaging": ImagingConfig(defocus_nm=(20.0, 20.0)), "images_per_structure": 9})
    assert list(wave_steps(other, path)) == []
    waves = WaveSet(other, path)
    near, far = (WaveSet(config, path).image(waves.specimen(0), np.random.default_rng(0)) for config in (TINY, other))
    assert not np.array_equal(near, far)
    elsewhere = TINY.model_copy(update={"device": "cuda", "mode": "haadf", "microscope": "300kv"})
    assert list(wave_steps(elsewhere, path, "cpu")) == []
    for change in ({"seed": 2}, {"shape": 110}, {"vibration_nm": 0.01}, {"imaging": ImagingConfig(energy_kev=200.0)}):
        with pytest.raises(GanDenoiseError, match=r"waves\.zarr already holds other exit waves"):
            drain(wave_steps(TINY.model_copy(update=change), path))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(GanDenoiseError, match="already holds"):
        drain(wave_steps(TINY, tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
