"""Recording: what cameras and scans do to clean images, and what is said of the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from napari_gandenoise.noise.acquisition import acquire, decay, gaussian
from napari_gandenoise.settings.acquisition import AcquisitionConfig

NOTHING = {"effects": 0.0, "dose": None, "read_noise": (0.0, 0.0), "sigma": (0.0, 0.0), "eight_bits": 0.0}
KINDS = ("counter", "camera", "scan", "microscope", "photograph")
# With every effect on, all others off: what a test is about is added.
BARE = {
    **NOTHING,
    "effects": 1.0,
    **dict.fromkeys(
        ("background", "point_spread", "correlation", "outliers", "stripes", "line_gain", "lag", "jitter", "drift"), 0.0
    ),
    **dict.fromkeys(("flyback", "smoothing", "clipped"), 0.0),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(n: int = 2, channels: int = 1, side: int = 48) -> torch.Tensor:
    image = ndimage.gaussian_filter(np.random.default_rng(3).random((n, channels, side, side)), (0, 0, 4, 4))
    image = (image - image.min()) / np.ptp(image)
    return torch.tensor(0.2 + 0.6 * image, dtype=torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_without_effects_an_image_stays_as_it_is(kind):
    clean = smooth(channels=3)
    acquired = acquire(clean, AcquisitionConfig(recorder=kind, **NOTHING), generator())
    cut = AcquisitionConfig(recorder=kind).cut
    inside = clean[..., cut : 48 - cut, cut : 48 - cut]
    assert torch.equal(acquired.noisy, inside)
    assert torch.equal(acquired.clean, inside)
    assert not acquired.strength.any()
    assert torch.equal(acquired.correlation, torch.ones(2, 2))


@pytest.mark.parametrize("dose", [0.1, 3.0, 200.0])
def test_counts_have_the_variance_of_poisson(dose):
    # A flat image of dose electrons has the relative variance 1 / dose.
    clean = torch.full((1, 1, 400, 400), 0.5)
    acquired = acquire(clean, AcquisitionConfig(recorder="camera", **BARE | {"dose": (dose, dose)}), generator())
    assert acquired.noisy.mean() == pytest.approx(0.5, rel=5 / np.sqrt(dose * clean.numel()))
    assert acquired.noisy.std() == pytest.approx(0.5 / np.sqrt(dose), rel=0.03)
    counts = acquired.noisy / 0.5 * dose
    assert torch.allclose(counts, counts.round(), atol=1e-3)


@pytest.mark.parametrize(
    "fields",
    [
        {"recorder": "camera", "dose": (20.0, 20.0), "correlation": 1.0, "read_noise": (0.05, 0.05), "stripes": 0.05},
        {"recorder": "scan", "dose": (5.0, 5.0), "lag": 2.0, "smoothing": 0.9, "stripes": 0.05, "line_gain": 0.1},
        {"recorder": "scan", "read_noise": (0.1, 0.1), "smoothing": 0.9, "gain": (7.0, 7.0), "offset": (3.0, 3.0)},
        {"recorder": "photograph", "sigma": (0.1, 0.1)},
    ],
    ids=["camera", "scan", "read-out", "photograph"],
)
def test_strength_is_the_deviation_over_many_draws(fields):
    # Each image of the batch draws its own effects: its squared deviations, divided by the square of its strength, have
    # the mean one whatever was drawn.
    clean = smooth(1).expand(200, -1, -1, -1)
    acquired = acquire(clean, AcquisitionConfig(**BARE | fields | {"target": "recorded"}), generator(1))
    edge = 8
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    relative = ((acquired.noisy - acquired.clean) / acquired.strength)[inside]
    assert relative.mean() == pytest.approx(0, abs=0.05)
    assert relative.square().mean() == pytest.approx(1, abs=0.05)
    # And where the image is bright the noise is as much stronger as the map says.
    bright = (acquired.strength[inside] ** 2).mean(0).flatten()
    seen = (acquired.noisy - acquired.clean)[inside].square().mean(0).flatten()
    order = bright.argsort()
    for part in order.chunk(4):
        assert seen[part].mean() == pytest.approx(float(bright[part].mean()), rel=0.12)


def test_a_counting_detector_counts_and_does_nothing_else():
    clean = smooth(64)
    config = AcquisitionConfig(recorder="counter", effects=1.0, dose=(3.0, 3.0))
    acquired = acquire(clean, config, generator())
    assert torch.equal(acquired.clean, clean)
    counts = acquired.noisy / clean.mean(dim=(1, 2, 3), keepdim=True) * 3
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    assert ((acquired.noisy - clean) / acquired.strength).square().mean() == pytest.approx(1, abs=0.05)


def test_noise_correlates_as_the_blur_says():
    # White noise after a Gaussian of σ has the autocorrelation exp(-d² / 4σ²), and shares itself among 2 √π σ pixels.
    sigma = 1.5
    kernel = gaussian(torch.full((1,), sigma))[0]
    noise = np.random.default_rng(0).normal(size=(600, 600))
    blurred = ndimage.convolve1d(noise, kernel.numpy(), axis=1)
    for lag in (1, 2, 3):
        seen = (blurred[:, lag:] * blurred[:, :-lag]).mean() / blurred.var()
        assert seen == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.015)
    assert 1 / float(kernel.square().sum()) == pytest.approx(2 * np.sqrt(np.pi) * sigma, rel=0.01)


def test_correlation_is_that_of_the_noise():
    fields = {"dose": (10.0, 10.0), "read_noise": (0.1, 0.1), "lag": 2.5, "smoothing": 0.9}
    clean = torch.full((4, 1, 416, 416), 0.5)
    acquired = acquire(clean, AcquisitionConfig(recorder="scan", **BARE | fields), generator(5))
    for image, expected in zip(acquired.noisy[:, 0].double() - 0.5, acquired.correlation, strict=True):
        spectrum = torch.fft.fft2(image).abs() ** 2
        auto = torch.fft.ifft2(spectrum).real
        auto = auto / auto[0, 0]
        for axis in range(2):
            lags = auto[:, 0] if axis == 0 else auto[0]
            seen = 1 + 2 * float(lags[1:12].sum())
            assert seen == pytest.approx(float(expected[axis]), abs=0.12)
    assert (acquired.correlation[:, 1] >= acquired.correlation[:, 0]).all()  # a detector lags along lines only


def test_a_lag_decays_and_does_not_shift():
    kernel = decay(torch.tensor([0.0, 1.5]))
    assert torch.allclose(kernel.sum(dim=1), torch.ones(2))
    assert kernel[0].max() == 1
    tail = kernel[1][kernel[1] > 1e-6]
    assert torch.allclose(tail[1:] / tail[:-1], torch.tensor(np.exp(-1 / 1.5), dtype=torch.float32), atol=1e-4)
    places = torch.arange(kernel.shape[1]) - kernel.shape[1] // 2
    assert abs(float((kernel[1] * places).sum())) <= 0.5


def test_the_target_is_the_image_without_jitter():
    clean = smooth(16, side=96)
    fields = BARE | {"jitter": 2.0, "drift": 4.0}
    restored = acquire(clean, AcquisitionConfig(recorder="scan", **fields), generator(2))
    recorded = acquire(clean, AcquisitionConfig(recorder="scan", target="recorded", **fields), generator(2))
    assert torch.equal(recorded.noisy, recorded.clean)
    assert torch.equal(recorded.noisy, restored.noisy)
    # From line to line the recorded image jumps, the target as little as the specimen.
    rough = restored.noisy.diff(n=2, dim=2).square().mean()
    assert restored.clean.diff(n=2, dim=2).square().mean() < rough / 3
    assert clean.diff(n=2, dim=2).square().mean() < rough / 3


def test_only_sharp_targets_lack_the_point_spread():
    clean, fields = smooth(4), BARE | {"point_spread": 2.0}
    targets = {
        target: acquire(clean, AcquisitionConfig(recorder="camera", target=target, **fields), generator()).clean
        for target in ("recorded", "undistorted", "sharp")
    }
    assert torch.equal(targets["sharp"], clean)
    assert torch.equal(targets["recorded"], targets["undistorted"])
    assert (targets["recorded"].var(dim=(2, 3)) < clean.var(dim=(2, 3))).all()


def test_a_background_takes_contrast_and_adds_noise():
    clean = smooth(64)
    fields = BARE | {"background": 2.0}
    acquired = acquire(clean, AcquisitionConfig(recorder="camera", **fields), generator())
    # (s + b) / (1 + b) keeps white where it is.
    background = clean.std(dim=(1, 2, 3)) / acquired.clean.std(dim=(1, 2, 3)) - 1
    assert torch.allclose(1 - acquired.clean, (1 - clean) / (1 + background.view(-1, 1, 1, 1)), atol=1e-4)
    assert float(background.max()) < 2.05
    assert background.mean() == pytest.approx(1.0, abs=0.4)


def test_files_clip_and_round():
    clean = smooth(8)
    clipped = acquire(clean, AcquisitionConfig(recorder="camera", **BARE | {"clipped": 0.2}), generator()).noisy
    share = torch.stack([(image == image.max()).float().mean() for image in clipped])
    assert (share > 0.005).sum() >= 5
    assert float(share.max()) < 0.25
    rounded = acquire(clean, AcquisitionConfig(recorder="camera", **BARE | {"eight_bits": 1.0}), generator())
    assert all(len(image.unique()) <= 256 for image in rounded.noisy)
    error = (rounded.noisy - rounded.clean).std(dim=(1, 2, 3))
    assert torch.allclose(error, rounded.strength.amax(dim=(1, 2, 3)), rtol=0.1)


def test_outliers_are_as_many_as_said():
    clean = torch.full((64, 1, 64, 64), 0.5) + 0.1 * smooth(64, side=64)
    acquired = acquire(clean, AcquisitionConfig(recorder="camera", **BARE | {"outliers": 0.01}), generator())
    changed = (acquired.noisy != acquired.clean).float().mean(dim=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.005 * (1 + 0.3 * 3 / 2), rel=0.4)  # a third of the hot ones cover four


@given(
    n=st.integers(1, 3),
    channels=st.sampled_from([1, 3]),
    height=st.integers(24, 50),
    width=st.integers(24, 50),
    kind=st.sampled_from(KINDS),
    target=st.sampled_from(["recorded", "undistorted", "sharp"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_any_shape_any_kind(n, channels, height, width, kind, target, seed):
    config = AcquisitionConfig(recorder=kind, target=target, effects=0.7)
    clean = torch.rand(n, channels, height, width, generator=generator(seed))
    first, again = (acquire(clean, config, generator(seed)) for _ in range(2))
    shape = (n, channels, height - 2 * config.cut, width - 2 * config.cut)
    assert first.noisy.shape == first.clean.shape == shape
    assert first.strength.shape == (n, 1, *shape[2:])
    assert first.correlation.shape == (n, 2)
    for one, other in zip(first, again, strict=True):
        assert one.dtype == torch.float32
        assert torch.isfinite(one).all()
        assert torch.equal(one, other)
    assert (first.clean >= 0).all()
    assert (first.clean <= 1).all()
    assert (first.correlation > 0.99).all()


@pytest.mark.parametrize(
    "fields", [{"dose": (5.0, 1.0)}, {"dose": (0.0, 1.0)}, {"gain": (-1.0, 1.0)}, {"read_noise": (-1.0, 1.0)}]
)
def test_ranges_must_make_sense(fields):
    with pytest.raises(ValidationError):
        AcquisitionConfig(**fields)
