"""Calibration against images whose detector is known."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.noise import calibrate
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian

CAMERA = PoissonGaussian(gain=2.3, offset=100, read_noise=3)


@pytest.mark.parametrize(("dose", "dtype"), [(0.1, np.uint8), (0.45, np.float32), (2, np.uint8), (10, np.float32)])
@pytest.mark.parametrize("spacing", [37, 9, 5])
def test_counted_electrons_are_recognised(dose, spacing, dtype, make_scene, rng):
    image = Poisson().sample(dose * make_scene(512, spacing), rng).astype(dtype)
    found = calibrate(image)
    assert found.noise == Poisson()
    assert found.confident
    assert 0 < found.gain_error < 0.03


def test_counted_electrons_of_a_known_size_are_recognised(make_scene, rng):
    image = Poisson(gain=16).sample(0.45 * make_scene(512), rng).astype(np.uint16)
    assert calibrate(image).noise == Poisson(gain=16)


@pytest.mark.parametrize(("dose", "spacing"), [(0.45, 37), (2, 9), (10, 37), (40, 9)])
def test_a_camera_is_calibrated_from_one_frame(dose, spacing, make_scene, rng):
    found = calibrate(CAMERA.sample(dose * make_scene(1200, spacing), rng))
    assert found.confident
    assert found.noise.gain == pytest.approx(2.3, abs=3.5 * found.gain_error)
    assert found.noise.offset == pytest.approx(100, abs=3.5 * found.offset_error)
    assert found.gain_error < 0.25
    total = found.noise.gain * (found.noise.from_electrons(dose) - found.noise.offset)
    assert total > 0


@pytest.mark.slow
def test_a_movie_pools_its_frames(make_scene, rng):
    movie = CAMERA.sample(np.stack([4 * make_scene(512)] * 8), rng)
    one, all_frames = calibrate(movie[0]), calibrate(movie)
    assert all_frames.gain_error < one.gain_error
    assert all_frames.noise.gain == pytest.approx(2.3, abs=3.5 * all_frames.gain_error)


@pytest.mark.slow
def test_dask_movies_are_calibrated_from_the_blocks_that_are_needed(rng):
    loaded = []

    def load(block_info=None):
        loaded.append(1)
        return np.random.default_rng(1).poisson(0.5, (1, 256, 256))

    movie = da.map_blocks(load, chunks=((1,) * 400, (256,), (256,)), dtype=np.int64, meta=np.empty((0, 0, 0), np.int64))
    assert calibrate(movie).noise == Poisson()
    assert len(loaded) < 200


@pytest.mark.parametrize("dose", [0.3, 5])
def test_a_gain_without_steps_is_found(dose, make_scene, rng):
    flat_field = rng.normal(1, 0.01, (900, 900))
    found = calibrate(Poisson(gain=37.0).sample(dose * make_scene(900), rng) * flat_field)
    assert isinstance(found.noise, Poisson)
    assert found.confident
    assert found.noise.gain == pytest.approx(37, rel=0.03)
    assert found.noise.offset == pytest.approx(0, abs=0.05 * 37 * dose)


def test_noise_that_ignores_the_signal_is_gaussian(make_scene, rng):
    found = calibrate(Gaussian(sigma=0.2).sample(5 * make_scene(512), rng))
    assert found.confident
    assert found.noise.kind == "gaussian"
    assert found.noise.sigma == pytest.approx(0.2, rel=0.02)


def test_hot_pixels_change_nothing(make_scene, rng):
    image = CAMERA.sample(4 * make_scene(900), rng)
    clean = calibrate(image)
    image[rng.integers(900, size=60), rng.integers(900, size=60)] = 60_000
    found = calibrate(image)
    assert found.noise.gain == pytest.approx(clean.noise.gain, rel=0.02)


def test_a_flat_camera_image_is_not_trusted(rng):
    found = calibrate(CAMERA.sample(np.full((128, 128), 20.0), rng))
    assert not found.confident
    assert "check the numbers" in found.message


def test_shared_noise_is_noticed(make_scene, rng):
    found = calibrate(ndimage.gaussian_filter(Poisson().sample(2 * make_scene(512), rng), 0.7))
    assert (found.correlated, found.confident) == (True, False)
    assert "share their noise" in found.message


@pytest.mark.parametrize("blur", [0.5, 1.0, 1.5])
def test_the_gain_of_sums_is_that_before_the_blur(blur, make_scene, rng):
    found = calibrate(ndimage.gaussian_filter(3 * rng.poisson(5 * make_scene(512)).astype(float), blur))
    assert found.noise.gain == pytest.approx(3, rel=0.15)
    assert found.grain == pytest.approx(blur, rel=0.2)


@pytest.mark.parametrize("image", [np.full((64, 64), 7), np.zeros((3, 64, 64))])
def test_a_constant_image_tells_nothing(image):
    found = calibrate(image)
    assert (found.noise, found.confident) == (Poisson(), False)
    assert "constant" in found.message


def test_a_small_image_tells_nothing(rng):
    found = calibrate(rng.poisson(1, (31, 500)))
    assert (found.noise, found.confident) == (Poisson(), False)
    assert "too small" in found.message


@pytest.mark.parametrize("side", [8, 32, 64])
def test_an_image_that_repeats_itself_gets_an_answer(side, rng):
    """All blocks of it say the same, so that nothing says how sure they are."""
    found = calibrate(np.tile(rng.poisson(3.0, (side, side)), (512 // side, 512 // side)))
    assert found.message.endswith(".")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_left_out(bad, rng):
    image = rng.poisson(2, (256, 256)).astype(float)
    image[:20], image[100, 30] = bad, bad
    assert calibrate(image).noise == Poisson()
    with pytest.raises(GanDenoiseError, match="finite"):
        calibrate(np.full((64, 64), bad))


@pytest.mark.parametrize("shape", [(64,), (0, 64), (2, 2, 64, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(GanDenoiseError, match="image"):
        calibrate(np.ones(shape))


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from([np.uint8, np.int16, np.float16, np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_any_finite_image_gets_an_answer_in_one_sentence(shape, dtype, seed):
    image = np.random.default_rng(seed).integers(0, 9, shape).astype(dtype)
    found = calibrate(image)
    assert found.message.endswith(".")
    assert "\n" not in found.message
    assert np.isfinite(found.noise.gain)


@pytest.mark.slow
def test_errors_cover_the_truth(make_scene):
    """Over many frames, estimates scatter about the truth by about the error that each states."""
    scene = 4 * make_scene(384)
    found = [calibrate(CAMERA.sample(scene, np.random.default_rng(seed))) for seed in range(24)]
    pulls = np.array([(f.noise.gain - 2.3) / f.gain_error for f in found if isinstance(f.noise, PoissonGaussian)])
    assert len(pulls) > 12
    assert abs(np.median(pulls)) < 0.8
    assert 0.5 < pulls.std() < 2
