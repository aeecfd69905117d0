"""What an image says: defects, levels, images without noise, guessed pixel sizes, by both kinds of model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gandenoise.denoising import calibrated, denoise, plan
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph, write_result
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.settings.noise import Poisson

SIDE = 128
PIXEL_NM = 0.0244
Y, X = np.mgrid[:SIDE, :SIDE]
RATE = 2 * (1 + 0.5 * np.cos(2 * np.pi * X / 12) * np.cos(2 * np.pi * Y / 12))
MODELS = ["hrtem-unet", "hrtem"]
SEARCHED = ["hrtem-unet", pytest.param("hrtem", marks=pytest.mark.slow)]  # a search takes seconds
DISTURBED = ["spike", "column", "border", "nan", "blank", "flat", "smooth"]


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(0).poisson(RATE)


@pytest.fixture(scope="module")
def undisturbed(counts):
    """The results of the counts, by the name of the model."""
    return {model: quick(counts, model).rate for model in MODELS}


def quick(image, model, **fields):
    return denoise(image, **{"model": model, "pixel_size_nm": PIXEL_NM, "preset": "fast"} | fields)


def error(rate, where=...):
    return float(np.sqrt(np.mean(np.square(rate - RATE)[where])))


def said(result):
    return " ".join(result.report["warnings"])


@pytest.mark.parametrize("model", MODELS)
def test_three_hot_pixels_change_nothing_elsewhere(counts, undisturbed, model):
    hot = counts.copy()
    hot[[40, 90, 11], [50, 20, 77]] = 1000
    result = quick(hot, model)
    assert "3 outliers left out." in said(result)
    assert result.report["defects"]["outliers"] == 3
    assert error(result.rate) < 1.05 * error(undisturbed[model])
    apart = ndimage.binary_dilation(result.missing, iterations=12)
    assert np.abs(result.rate - undisturbed[model])[~apart].max() < 0.2


def test_outliers_are_kept_if_the_user_says_so(counts):
    hot = counts.copy()
    hot[40, 50] = 1000
    result = quick(hot, "hrtem-unet", outliers=False)
    assert result.missing is None
    assert result.rate[40, 50] > 50


def test_a_plan_names_what_is_left_out_and_a_layer_shows_it(counts):
    hot = counts.copy()
    hot[:, 100] += 50
    assert plan(hot, model="hrtem-unet", pixel_size_nm=PIXEL_NM).warnings == ("Column 100 left out.",)
    result = quick(hot, "hrtem-unet")
    assert result.report["noise"] == {"kind": "poisson", "gain": 1.0, "offset": 0.0}
    names = [options["name"] for _, options, _ in result.to_layers(missing=True)]
    assert names == ["denoised · hrtem-unet", "left out · hrtem-unet"]


@pytest.mark.parametrize("model", SEARCHED)
def test_a_border_without_values_is_drawn(counts, model):
    image = counts.astype(np.float32)
    image[:12], image[:, -9:] = np.nan, np.nan
    result = quick(image, model)
    assert np.isfinite(result.rate).all()
    assert np.array_equal(result.missing, np.isnan(image))
    assert np.isfinite(result.residual).all()
    assert error(result.rate, ~result.missing) < 0.3


def test_labels_and_filled_borders_stay_as_they_are(counts):
    image = counts.astype(np.float32)
    image[:12] = counts.mean()
    image[60:75, 20:60], image[64:70, 24:40] = 0.5, 3.5  # a bar on a plate
    result = quick(image, "hrtem-unet")
    for place in (np.s_[:12], np.s_[60:75, 20:60]):
        assert result.missing[place].all()
        np.testing.assert_array_equal(result.rate[place], image[place])
        assert not result.residual[place].any()
    assert error(result.rate, ~result.missing) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_blank_frame_of_a_movie_is_left_and_named(counts, undisturbed, model):
    movie = np.stack([np.zeros_like(counts), counts, np.zeros_like(counts), counts])
    result = quick(movie, model, neighbours=0)
    assert not result.rate[[0, 2]].any()
    np.testing.assert_allclose(result.rate[1], undisturbed[model], atol=0.01)
    assert "Frame 1 is blank: it is left as it is. Frame 3 is blank" in said(result)
    assert result.report["defects"]["kept"] == [0, 2]
    assert result.report["noise"]["gain"] == 1


@pytest.mark.parametrize("model", SEARCHED)
@pytest.mark.parametrize("image", [np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1)), RATE.astype(np.float32)])
def test_an_image_without_noise_is_left_as_it_is(model, image):
    result = quick(image, model)
    assert np.array_equal(result.rate, image)
    assert result.summary() == "no noise was found: left as it is"
    assert said(result) == "The image shows no noise: it is left as it is."


@pytest.mark.parametrize("model", SEARCHED)
@pytest.mark.parametrize(
    ("gain", "offset", "read"), [(0.1, -0.2, 0), (2, -60, 3), (1, 1e8, 0), (1, -1e6, 2), (1e-20, -1e-20, 1e-20)]
)
def test_any_level_is_denoised(model, gain, offset, read, rng):
    image = gain * rng.poisson(10 * RATE) + offset + read * rng.standard_normal(RATE.shape)
    rate = (quick(image, model).rate - offset) / gain / 10
    assert error(rate) < 0.25
    assert np.ptp(rate) > 1


def test_a_movie_above_a_large_offset_keeps_its_electrons_in_the_file_too(counts, tmp_path):
    image = counts.astype(np.uint32) + np.uint32(10**9)
    result = quick(np.stack([image, image]), "hrtem-unet", noise=Poisson(offset=1e9))
    assert result.rate.dtype == np.float64
    assert error(result.rate[1] - 1e9) < 0.3
    assert write_result(tmp_path / "result.tif", result)
    assert np.array_equal(read_micrograph(tmp_path / "result.tif").pixels, result.rate)


def test_shared_noise_is_named_and_judges_nothing(counts):
    result = quick(ndimage.gaussian_filter(counts.astype(np.float32), 1, mode="wrap"), "hrtem-unet")
    assert "share their noise" in said(result)
    assert "not judged" in result.summary()
    assert result.report["noise"]["gain"] == pytest.approx(1, rel=0.35)


# --- pixels that are missing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", SEARCHED)
@pytest.mark.parametrize(
    "missing", [(abs(Y - 64) < 5) & (abs(X - 64) < 5), X % 2 == 1], ids=["a hole", "every second column"]
)
def test_missing_pixels_are_drawn_from_those_around(counts, model, missing):
    result = quick(np.where(missing, 0, counts), model, missing=missing)
    assert result.rate[missing].mean() == pytest.approx(RATE[missing].mean(), rel=0.06)
    assert result.rate[~missing].mean() == pytest.approx(RATE[~missing].mean(), rel=0.06)


def test_the_mask_of_a_masked_array_is_missing(counts):
    mask = np.zeros(counts.shape, bool)
    mask[30:40, 30:40] = True
    masked = quick(np.ma.masked_array(np.where(mask, 10**6, counts), mask), "hrtem-unet")
    np.testing.assert_array_equal(masked.rate, quick(counts, "hrtem-unet", missing=mask).rate)


def test_frames_may_miss_other_pixels(counts):
    missing = np.zeros((2, *counts.shape), bool)
    missing[1, :20] = True
    result = quick(np.stack([counts, counts]), "hrtem-unet", missing=missing)
    assert np.array_equal(result.missing, missing)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (np.zeros((3, 3)), "The missing pixels are 3×3 and the image is 128×128"),
        (True, "one number"),
        ("here", "array of numbers"),
        ([[1, 2], [3]], "equally long"),
        (np.ones((SIDE, SIDE)), "no pixel with a value"),
    ],
)
def test_what_is_missing_must_fit(counts, missing, sentence):
    with pytest.raises(GanDenoiseError, match=sentence):
        quick(counts, "hrtem-unet", missing=missing)


# --- pixel sizes ----------------------------------------------------------------------------------------------------


def lattice_of_platinum(pixel_nm, mean, side=512):
    """Counts of 111 and 200 fringes of Pt along the zone axis 110."""
    y, x = pixel_nm * np.mgrid[:side, :side]
    directions = ((1, 1, 3), (1, -1, 3), (0, 2, 4))  # of 111, of -111, and of 002, whose plane is at half the angle
    rate = np.ones((side, side))
    for along, across, squared in directions:
        spacing = 0.3924 / squared**0.5
        angle = np.arctan2(along * 2**0.5, across) if along else 0.0
        rate += 0.2 * np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / spacing)
    return np.random.default_rng(0).poisson(mean * rate)


def test_a_pixel_size_that_nobody_states_is_guessed_from_the_lattice():
    image = lattice_of_platinum(0.02, 3)
    planned = plan(image, model="hrtem-unet")
    assert planned.work.assumed.pixel_size_nm == pytest.approx(0.02, rel=0.2)
    assert "is a guess, at which the lattice in the image has known spacings" in planned.warnings[0]


def test_a_guess_is_not_passed_off_as_a_measurement(counts):
    result = quick(counts, "hrtem-unet", pixel_size_nm=None)
    assert result.pixel_size_nm is None
    assert result.report["pixel_size_nm"] is None
    assert result.report["assumed_pixel_size_nm"] > 0
    assert "scale" not in result.to_layer_data()[1]


def test_without_a_lattice_the_spectrum_says_how_far_counts_are_summed():
    counts = np.random.default_rng(0).poisson(0.3 * np.ones((400, 400)))
    assumed = plan(counts, model="hrtem-unet").work.assumed
    assert assumed.pixel_size_nm < PIXEL_NM / 3
    assert "finest detail" in assumed.reason


@pytest.mark.parametrize(("stated", "doubted"), [(0.02, False), (0.06, True), (0.006, True)])
def test_a_pixel_size_that_the_lattice_belies_is_doubted(stated, doubted):
    warnings = " ".join(plan(lattice_of_platinum(0.02, 3), model="hrtem-unet", pixel_size_nm=stated).warnings)
    assert ("did you mean about 2" in warnings) == doubted


# --- whatever Python passes -----------------------------------------------------------------------------------------


def check_any(image, model):
    """A finite result of the same shape, or one sentence."""
    try:
        result = denoise(image, model=model, preset="fast", pixel_size_nm=PIXEL_NM)
    except GanDenoiseError as refused:
        sentence = str(refused)
    else:
        sentence = result.summary()
        check_finite(result, image)
    assert "\n" not in sentence


def check_finite(result, image):
    assert result.rate.shape == np.shape(image)
    said_something = np.isfinite(image).any(axis=(-2, -1))
    assert np.isfinite(result.rate[said_something]).all()
    assert np.isfinite(result.residual[said_something]).all()


@st.composite
def images(draw):
    """Real images: any type and level, with spikes, dead lines, borders, blank frames."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    frames = draw(st.sampled_from([(), (), (2,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    rate = draw(st.sampled_from([0.0, 0.01, 0.5, 5.0, 1e3, 1e6])) * (1 + 0.5 * np.sin(np.arange(width) / 2))
    image = rng.poisson(np.broadcast_to(rate, (*frames, height, width))).astype(float)
    image = image * draw(st.sampled_from([1, 1, 0.3, 1e-12, 1e12])) + draw(st.sampled_from([0, 0, -3, 1e5, -1e9]))
    image += draw(st.sampled_from([0, 0, 1.0, 50.0])) * rng.standard_normal(image.shape)
    for kind in draw(st.lists(st.sampled_from(DISTURBED), max_size=3)):
        y, x = rng.integers(height), rng.integers(width)
        match kind:
            case "spike":
                image[..., y, x] = draw(st.sampled_from([1e5, -1e5, 1e30]))
            case "column":
                image[..., x] += 100
            case "border":
                image[..., :y, :] = image.mean()
            case "nan":
                image[..., y:, x:] = draw(st.sampled_from([np.nan, np.inf]))
            case "blank":
                image[..., : height // 2, :] = 0
            case "flat":
                image[:1] = image.flat[0]
            case "smooth":
                image = ndimage.gaussian_filter(image, 1)
    dtype = draw(st.sampled_from([np.float64, np.float32, np.float16, np.uint8, np.int16, np.uint32]))
    with np.errstate(invalid="ignore", over="ignore"):
        return image.astype(dtype)


@settings(max_examples=12, deadline=None)
@given(image=images(), model=st.sampled_from(MODELS))
def test_any_image_is_denoised_or_refused_in_one_sentence(image, model):
    check_any(image, model)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(image=images(), model=st.sampled_from(MODELS))
def test_many_images_are_denoised_or_refused_in_one_sentence(image, model):
    check_any(image, model)


def test_a_panel_may_calibrate_an_image_with_a_border(counts):
    image = counts.astype(np.float32)
    image[:12] = np.nan
    assert calibrated(Micrograph(image)).noise == Poisson()


def test_a_frame_without_any_value_is_left_and_the_others_are_denoised(counts, undisturbed):
    movie = np.stack([np.full(counts.shape, np.nan), counts])
    result = quick(movie, "hrtem-unet")
    assert np.isnan(result.rate[0]).all()
    assert np.array_equal(result.rate[1], undisturbed["hrtem-unet"])
    assert "Frame 1 is blank" in said(result)
