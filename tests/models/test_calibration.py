from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from napari_gandenoise.models.calibration import UNCALIBRATED, Calibration, Case, learnt

SIDE = 128


def cases(random, number, strength, *, count=8):
    """Errors are smooth, and twice as large on the right, where there is structure; draws are white and alike."""
    for _ in range(number):
        stripes = 1 + 0.2 * np.sin(np.arange(SIDE)) * (np.arange(SIDE) >= SIDE // 2) * np.ones((SIDE, 1))
        growing = np.where(np.arange(SIDE) < SIDE // 2, 1.0, 2.0)
        error = strength * growing * ndimage.gaussian_filter(random.standard_normal((SIDE, SIDE)), 1.0)
        drawn = 0.1 * random.standard_normal((count, SIDE, SIDE))
        yield Case(drawn, stripes, stripes + error, strength)


def applied(calibration, case):
    drawn, cleaned = (torch.from_numpy(image).float() for image in (case.drawn, case.cleaned))
    return calibration.apply(drawn[:, None], cleaned[None], case.strength)[:, 0].numpy()


@pytest.fixture(scope="module")
def calibration():
    random = np.random.default_rng(1)
    return learnt([case for strength in (0.05, 0.2, 0.8) for case in cases(random, 4, strength)])


@pytest.mark.parametrize("strength", [0.05, 0.2, 0.4, 0.8])
def test_draws_come_to_differ_by_as_much_as_the_image_is_wrong(calibration, strength):
    """At strengths that it was learnt at and between them, where errors are small and where they are large."""
    (case,) = cases(np.random.default_rng(2), 1, strength, count=32)
    found, error = applied(calibration, case), case.truth - case.cleaned
    for half in (slice(8, SIDE // 2 - 8), slice(SIDE // 2 + 8, SIDE - 8)):
        assert found[..., half].std() == pytest.approx(error[:, half].std(), rel=0.2)


def test_draws_come_to_have_the_spectrum_of_the_error(calibration):
    (case,) = cases(np.random.default_rng(3), 1, 0.2, count=32)
    found, error = applied(calibration, case), case.truth - case.cleaned
    for blur in (1.0, 3.0):  # white noise would lose nearly all of it
        ratio = np.std([ndimage.gaussian_filter(one, blur) for one in found]) / np.std(found)
        assert ratio == pytest.approx(ndimage.gaussian_filter(error, blur).std() / error.std(), rel=0.1)


def test_what_nobody_has_measured_is_left_alone():
    drawn = torch.randn(3, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(UNCALIBRATED.apply(drawn, torch.ones(1, 20, 30), float("nan")), drawn)


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (33, 7)])
def test_frames_of_any_size_and_any_number_of_channels(calibration, shape):
    drawn = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(1))
    found = calibration.apply(drawn, torch.ones(3, *shape), 0.2)
    assert found.shape == drawn.shape
    assert found.isfinite().all()


@pytest.mark.parametrize(
    "fields",
    [
        {"strengths": (), "rings": ()},
        {"strengths": (0.2, 0.1), "rings": ((1.0,), (1.0,))},
        {"strengths": (0.0, 0.1), "rings": ((1.0,), (1.0,))},
        {"strengths": (0.1,), "rings": ((1.0,), (1.0,))},
        {"strengths": (0.1,), "rings": ((),)},
        {"strengths": (0.1,), "rings": ((-1.0,),)},
        {"strengths": (0.1, 0.2), "rings": ((1.0,), (1.0, 1.0))},
        {"strengths": (0.1,), "rings": ((1.0,) * 1000,)},
        {"strengths": (0.1,), "rings": ((float("nan"),),)},
        {"strengths": (0.1,), "rings": ((1.0,),), "law": (1e9, 0, 0, 0)},
    ],
)
def test_what_a_file_says_is_checked(fields):
    with pytest.raises(ValidationError):
        Calibration(**fields)
