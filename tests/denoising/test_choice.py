"""The automatic choice of a model: by evidence that the models have not seen, by a stated rule where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_gandenoise.denoising import denoise, plan
from napari_gandenoise.denoising.choice import candidates, choose_steps
from napari_gandenoise.denoising.evidence import FirstFrame
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.simulate.samples import sample_micrograph

PIXEL_NM = 0.0244
X = np.linspace(0, 60, 256)
SCENE = 6 * (1 + 0.5 * np.cos(X) * np.cos(X)[:, None])
NOISES = [
    Poisson(),
    Poisson(gain=3.0, offset=10.0),
    PoissonGaussian(gain=2.0, offset=5.0, read_noise=1.5),
    Gaussian(sigma=1.0),
]


@pytest.fixture
def rival(write_direct_model, tmp_path, monkeypatch):
    """A model of the user's own beside the bundled ones."""
    monkeypatch.setenv("GANDENOISE_MODELS", str(tmp_path))
    write_direct_model(tmp_path, "rival", pixel_size_nm=PIXEL_NM)
    return "rival"


def chosen(image, noise, rates, pixel_size_nm=PIXEL_NM):
    """Choose among models that find these rates; all others find nothing but the mean."""
    micrograph = Micrograph(image, pixel_size_nm=pixel_size_nm, noise=noise)

    def draw(seen, name):
        return rates[name](seen) if name in rates else np.full(seen.pixels.shape, np.mean(seen.pixels), np.float32)

    return drain(choose_steps(FirstFrame.of(micrograph, DenoiseConfig()), DenoiseConfig(), draw))


def scene(noise):
    """Return the rate in units of the image, and of one with a share of its electrons."""
    return noise.from_electrons(SCENE)


def seen_rate(noise, rate):
    """What an estimator of ``rate`` finds for an image that may hold fewer electrons."""

    def find(seen):
        electrons = noise.to_electrons(np.asarray(seen.pixels, np.float64))
        return noise.from_electrons(rate * electrons.mean() / SCENE.mean())

    return find


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: f"{noise.kind}-{noise.gain:g}")
def test_the_model_that_is_nearer_to_the_truth_is_taken(rival, noise):
    image = noise.sample(SCENE, np.random.default_rng(0)).astype(np.float32)
    blurred = ndimage.gaussian_filter(SCENE, 3, mode="wrap")
    for good, bad in (("hrtem-unet", rival), (rival, "hrtem-unet")):
        rates = {good: seen_rate(noise, SCENE), bad: seen_rate(noise, blurred)}
        choice = chosen(image, noise, rates)
        assert choice.name == good
        assert choice.scores[good] == 0 > choice.scores[bad]
        assert good in choice.reason


def test_the_evidence_is_the_information_that_the_better_model_holds(rival):
    # For small differences d of the rates λ held-out counts of share 1 - p tell (1 - p) d² / 2 λ nats a pixel.
    image = Poisson().sample(SCENE, np.random.default_rng(0)).astype(np.float32)
    other = SCENE * (1 + 0.1 * np.sin(3 * X))
    rates = {"hrtem-unet": seen_rate(Poisson(), SCENE), rival: seen_rate(Poisson(), other)}
    told = 0.25 * ((other - SCENE) ** 2 / (2 * SCENE)).mean()
    assert chosen(image, Poisson(), rates).scores[rival] == pytest.approx(-1e3 * told, rel=0.25)


def test_models_that_evidence_cannot_tell_apart_leave_the_choice_to_the_rule(rival):
    image = Poisson().sample(SCENE, np.random.default_rng(0)).astype(np.float32)
    micrograph = Micrograph(image, pixel_size_nm=PIXEL_NM)
    names = list(candidates(FirstFrame.of(micrograph, DenoiseConfig()), DenoiseConfig()))
    nearly = SCENE * (1 + 1e-3 * np.random.default_rng(1).standard_normal(SCENE.shape))
    choice = chosen(image, Poisson(), dict.fromkeys(names, seen_rate(Poisson(), nearly)))
    assert choice.name == names[0]


def test_noise_that_neighbours_share_is_not_split(rival):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SCENE.shape), 1.5)
    image = (SCENE + noise / noise.std()).astype(np.float32)

    def refuse(_seen):
        raise AssertionError("a model was tried")

    choice = chosen(image, Gaussian(sigma=1.0), {"hrtem-unet": refuse, rival: refuse})
    assert "neighbouring pixels share their noise" in choice.reason
    assert not choice.scores


def test_lines_of_a_scan_that_jitter_are_not_split(rival):
    random = np.random.default_rng(1)
    moved = np.stack([ndimage.shift(row, random.normal(0, 1.5), order=1, mode="nearest") for row in SCENE])
    image = (moved + random.standard_normal(SCENE.shape)).astype(np.float32)

    def refuse(_seen):
        raise AssertionError("a model was tried")

    choice = chosen(image, Gaussian(sigma=1.0), {"hrtem-unet": refuse, rival: refuse})
    assert "lines of the scan share their noise" in choice.reason
    assert not choice.scores


@pytest.mark.slow
def test_a_run_says_which_model_it_took_and_repeats_it(rival):
    sample = sample_micrograph(seed=0)
    counts = sample.pixels[500:756, 500:756]
    result = denoise(counts, pixel_size_nm=sample.pixel_size_nm, preset="fast")
    # The rival takes its strength from every pixel, which is far from any truth.
    assert result.report["model"] == "hrtem-unet"
    assert result.report["config"]["model"] == "auto"
    assert result.report["choice"].startswith("hrtem-unet: held-out evidence is ")
    assert result.report["choice"] in result.summary()
    again = denoise(counts, pixel_size_nm=sample.pixel_size_nm, preset="fast", model="hrtem-unet")
    np.testing.assert_array_equal(result.rate, again.rate)
    assert again.report["choice"] == ""


def test_what_no_model_is_for_is_refused_before_any_work_by_those_of_its_colours():
    image = np.ones((64, 64), np.float32)
    for small in (Micrograph(np.ones((4, 4), np.float32)), Micrograph(np.ones((4, 4, 3), np.float32), rgb=True)):
        with pytest.raises(GanDenoiseError, match="4×4 pixels is too small"):
            candidates(FirstFrame.of(small, DenoiseConfig()), DenoiseConfig())
    colours = Micrograph(np.ones((64, 64, 3), np.float32), rgb=True)
    assert list(candidates(FirstFrame.of(colours, DenoiseConfig()), DenoiseConfig())) == ["colour"]
    assert plan(image, pixel_size_nm=PIXEL_NM).seconds > 0


def test_models_of_one_pixel_size_are_not_tried_at_a_guessed_one(rival):
    image = Poisson().sample(SCENE, np.random.default_rng(0)).astype(np.float32)
    first, second = (FirstFrame.of(Micrograph(image, pixel_size_nm=size), DenoiseConfig()) for size in (PIXEL_NM, None))
    assert {"hrtem-unet", "micrographs", rival} <= set(candidates(first, DenoiseConfig()))
    assert set(candidates(second, DenoiseConfig())) == {"micrographs"}


def test_models_that_draw_no_samples_are_tried_where_samples_are_wanted(rival):
    image = Poisson().sample(SCENE, np.random.default_rng(0)).astype(np.float32)
    micrograph, config = Micrograph(image, pixel_size_nm=PIXEL_NM), DenoiseConfig(samples=4)
    assert set(candidates(FirstFrame.of(micrograph, config), config)) >= {"hrtem-unet", rival}
    assert plan(micrograph, config).seconds > 0
