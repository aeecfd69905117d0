"""Simulated sets: the physics of one image, and a set that can be stopped and continued."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import zarr
from pydantic import ValidationError
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.acquisition import RecordingConfig
from napari_gandenoise.settings.simulate import (
    CrystalConfig,
    ImagingConfig,
    ScenesConfig,
    SimulationConfig,
    StructureConfig,
)
from napari_gandenoise.simulate import simulate_images, simulate_steps
from napari_gandenoise.simulate.generate import contrast_class

pytest.importorskip("ase")

# A bare particle of 1 nm in a field of 4 nm: its surroundings are vacuum.
TINY = SimulationConfig(
    structures=2,
    images_per_structure=2,
    pixel_size_nm=0.03,
    shape=132,
    seed=1,
    structure=StructureConfig(diameter_nm=(1.0, 1.0), supported_fraction=0.0),
    imaging=ImagingConfig(defocus_nm=(4.0, 8.0)),
)


SCENES = SimulationConfig(
    structures=2, images_per_structure=2, shape=64, seed=1, structure=ScenesConfig(kinds=("leaves", "particles"))
)
FLAKE = CrystalConfig(materials=("WS2",), flakes=1.0, surroundings=("vacuum",))


@pytest.fixture(scope="module")
def images():
    return simulate_images(TINY, 0)


def test_the_images_are_what_the_config_says(images):
    assert len(images) == 2
    for simulated in images:
        assert simulated.pixels.shape == (132, 132)
        assert simulated.pixels.dtype == np.float32
        assert simulated.pixel_size_nm == 0.03
        assert 4 <= simulated.conditions.defocus_nm <= 8
        assert simulated.conditions.energy_kev == 300
        assert simulated.pixels.min() >= 0
    assert images[0].conditions != images[1].conditions
    assert images[0].structure == images[1].structure


def test_vacuum_is_one_and_the_particle_is_seen(images):
    for simulated in images:
        corners = [simulated.pixels[y, x] for y, x in itertools.product((slice(12), slice(-12, None)), repeat=2)]
        # The particle sits off the middle by up to 15 % of the field; its fringes reach some corner at most weakly.
        assert np.median([corner.mean() for corner in corners]) == pytest.approx(1, abs=0.01)
        assert simulated.pixels.mean() == pytest.approx(1, abs=0.05)
        assert ndimage.gaussian_filter(simulated.pixels, 1).std() > 0.01


def test_each_image_depends_on_its_seed_and_number_alone(images):
    again, other = simulate_images(TINY, 0), simulate_images(TINY, 1)
    for first, second in zip(images, again, strict=True):
        np.testing.assert_array_equal(first.pixels, second.pixels)
        assert first.conditions == second.conditions
    assert not np.array_equal(images[0].pixels, other[0].pixels)
    reseeded = simulate_images(TINY.model_copy(update={"seed": 2, "images_per_structure": 1}), 0)
    assert not np.array_equal(images[0].pixels, reseeded[0].pixels)


def test_the_number_of_threads_changes_no_bit(images):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        again = simulate_images(TINY, 0)
    finally:
        torch.set_num_threads(threads)
    for first, second in zip(images, again, strict=True):
        np.testing.assert_array_equal(first.pixels, second.pixels)


def test_opposite_contrast_is_told_apart():
    y, x = np.mgrid[:100, :100]
    columns = np.exp(5 * (np.cos(x) + np.cos(y)) - 10).astype(np.float32)
    shading = 0.3 * np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / 1800)
    assert contrast_class(1 + 0.4 * columns - shading, columns) == "white"
    assert contrast_class(1 - 0.4 * columns + shading, columns) == "black"
    noise = np.random.default_rng(0).normal(1, 0.1, columns.shape)
    assert contrast_class(noise, columns) == "intermediate"


def test_a_set_that_was_stopped_is_continued_and_not_begun_again(tmp_path, images):
    path = tmp_path / "set.zarr"
    steps = simulate_steps(TINY, path)
    first = next(steps)
    steps.close()
    assert (first.stage, first.done, first.total) == ("simulate", 1, 2)
    assert first.preview.shape == (132, 132)
    assert len(zarr.open_group(path, mode="r").attrs["records"]) == 2
    rest = list(simulate_steps(TINY, path))
    assert [event.done for event in rest] == [2]
    stored = zarr.open_group(path, mode="r")
    whole = np.stack([s.pixels for number in (0, 1) for s in simulate_images(TINY, number)])
    np.testing.assert_array_equal(stored["images"][:], whole.astype(np.float16))
    assert [r["contrast"] for r in stored.attrs["records"]][:2] == [s.contrast for s in images]
    assert stored.attrs["records"][0]["defocus_nm"] == images[0].conditions.defocus_nm
    assert SimulationConfig.model_validate(stored.attrs["simulation"]) == TINY
    assert list(simulate_steps(TINY, path)) == []


def test_what_images_do_not_depend_on_may_change(tmp_path):
    path = tmp_path / "set.zarr"
    drain(simulate_steps(SCENES, path))
    elsewhere = SCENES.model_copy(update={"device": "cuda", "acquisition": RecordingConfig(recorder="scan")})
    assert list(simulate_steps(elsewhere, path, "cpu")) == []


@pytest.mark.parametrize("version", [None, 0])
def test_a_set_of_another_version_is_not_continued(tmp_path, version):
    path = tmp_path / "set.zarr"
    steps = simulate_steps(SCENES, path)
    next(steps)
    steps.close()
    group = zarr.open_group(path, mode="r+")
    if version is None:  # from before there was one, and from before there were other modes
        del group.attrs["physics"]
        stored = dict(group.attrs["simulation"])
        group.attrs["simulation"] = {name: stored[name] for name in stored if name not in ("mode", "probe")}
    else:
        group.attrs["physics"] = version
    with pytest.raises(GanDenoiseError, match=r"set\.zarr was begun by another version .*: choose a new name"):
        drain(simulate_steps(SCENES, path))


def test_scenes_come_one_by_one_from_their_numbers():
    alone = simulate_images(SCENES.model_copy(update={"images_per_structure": 1}), 1)
    first, second = simulate_images(SCENES, 1)
    np.testing.assert_array_equal(first.pixels, alone[0].pixels)
    assert not np.array_equal(first.pixels, second.pixels)
    assert not np.array_equal(first.pixels, simulate_images(SCENES, 0)[0].pixels)
    for scene in (first, second):
        assert scene.pixels.shape == (64, 64)
        assert scene.pixels.dtype == np.float32
        assert 0 <= scene.pixels.min() < scene.pixels.max() <= 1
        assert (scene.conditions, scene.contrast) == (None, "")


def test_columns_are_bright_in_the_dark_field_and_the_beam_is_shared_out():
    dark = SimulationConfig(mode="haadf", shape=64, pixel_size_nm=0.02, images_per_structure=2, structure=FLAKE)
    images = simulate_images(dark, 0)
    for image in images:
        assert image.pixels.shape == (64, 64)
        assert image.contrast == "white"
        # Of a single layer a small part of the beam goes to the detector.
        assert 0 < image.pixels.max() < 0.05
        assert image.conditions.energy_kev == 300.0
    # W scatters 4 to 9 times as much as the two S of a column do: (74/16)^1.7 / 2 = 6.7; a third of the columns are W.
    bright = np.sort(images[0].pixels.ravel())
    assert bright[-20:].mean() > 2 * bright.mean()


@pytest.mark.slow
def test_a_bright_field_is_relative_to_vacuum():
    config = SimulationConfig(mode="bf", shape=32, pixel_size_nm=0.03, images_per_structure=1, structure=FLAKE)
    (image,) = simulate_images(config, 0)
    assert image.pixels.shape == (32, 32)
    assert image.pixels.mean() == pytest.approx(1, abs=0.1)
    assert image.conditions.inner_mrad == 0


def test_vibration_softens_and_only_the_named_settings_change_waves():
    still, warm = (simulate_images(TINY.model_copy(update={"vibration_nm": v}), 0)[0].pixels for v in (0.0, 0.03))
    assert warm.std() < 0.9 * still.std()


def test_another_config_does_not_touch_a_set(tmp_path):
    path = tmp_path / "set.zarr"
    steps = simulate_steps(TINY, path)
    next(steps)
    steps.close()
    before = zarr.open_group(path, mode="r")["images"][:]
    with pytest.raises(GanDenoiseError, match=r"set\.zarr already holds another set"):
        drain(simulate_steps(TINY.model_copy(update={"seed": 5}), path))
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["images"][:], before)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(GanDenoiseError, match="already holds"):
        drain(simulate_steps(TINY, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "wrong",
    [{"structures": 0}, {"pixel_size_nm": 0.2}, {"shape": 8}, {"imaging": {"cs_um": (5.0, -5.0)}}, {"colour": 1}],
)
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        SimulationConfig.model_validate(wrong)
