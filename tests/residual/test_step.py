"""The residual step adds what the counts prove, fades what they do not bear out, and tends to the data."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from skimage import data
from torch import Tensor

from napari_gandenoise.progress import drain
from napari_gandenoise.residual import COLOURS, LIGHT, correct_channels, residual_step
from napari_gandenoise.residual.nonlocal_bayes import Patches, similar_patches

SIDE = 96
LEVEL = 8.0  # electrons per grid pixel, about the sample micrograph's


def residual(counts: Tensor, exposure: Tensor, rate: Tensor, read_variance: float) -> Tensor:
    return drain(residual_step(counts, exposure, rate, read_variance))


def _lattice(contrast: float) -> Tensor:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return 1 + contrast * torch.cos(2 * torch.pi * x / 9) * torch.cos(2 * torch.pi * y / 11)


def _step(truth: Tensor, rate: Tensor, dose: float = LEVEL) -> Tensor:
    """Step on Poisson counts of a relative truth, in relative units."""
    counts = torch.poisson(dose * truth, generator=torch.Generator().manual_seed(1))
    return residual(counts, torch.ones_like(counts), dose * rate, 0.0) / dose


def test_noise_alone_adds_almost_nothing() -> None:
    flat = torch.ones(SIDE, SIDE)
    noise = LEVEL**-0.5
    assert (_step(flat, flat) - 1).std() < 0.1 * noise


def test_a_lattice_that_the_rate_lacks_is_added() -> None:
    truth = _lattice(0.4)
    found = _step(truth, torch.ones_like(truth))
    assert (found - truth).square().mean() < 0.1 * (truth - 1).square().mean()


def test_a_lattice_that_the_counts_lack_fades() -> None:
    painted = _lattice(0.4)
    found = _step(torch.ones_like(painted), painted)
    assert (found - 1).square().mean() < 0.5 * (painted - 1).square().mean()


@pytest.mark.slow
def test_the_result_tends_to_the_data_as_the_dose_grows() -> None:
    truth, wrong = _lattice(0.4), _lattice(0.4).roll(4, 1)
    errors = [(_step(truth, wrong, dose) - truth).square().mean().item() for dose in (1.0, 10.0, 100.0, 1000.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 * (truth - 1).square().mean().item()


def test_read_noise_raises_what_counts_as_proof() -> None:
    truth = _lattice(0.3)
    counts = torch.poisson(LEVEL * truth, generator=torch.Generator().manual_seed(1))
    rate, seen = torch.full_like(truth, LEVEL), torch.ones_like(truth)
    quiet = residual(counts, seen, rate, 0.0)
    loud = residual(counts, seen, rate, 1e4)
    assert (loud - LEVEL).square().mean() < 0.1 * (quiet - LEVEL).square().mean()


@pytest.mark.parametrize("shape", [(8, 8), (31, 40), (33, 64), (130, 129)])
def test_any_shape_keeps_its_shape_and_is_not_negative(shape: tuple[int, int]) -> None:
    counts = torch.poisson(torch.full(shape, 0.5), generator=torch.Generator().manual_seed(2))
    found = residual(counts, torch.ones(shape), torch.full(shape, 0.5), 0.0)
    assert found.shape == shape
    assert (found >= 0).all()


def test_unexposed_pixels_do_not_count() -> None:
    truth = _lattice(0.3)
    counts = torch.poisson(LEVEL * truth, generator=torch.Generator().manual_seed(1))
    seen = torch.ones_like(truth)
    seen[:, -10:] = 0
    counts[:, -10:] = 0
    found = residual(counts, seen, torch.full_like(truth, LEVEL), 0.0)
    assert found[:, -10:].mean() > 0.8 * LEVEL


def test_without_windows_patches_that_repeat_tell_some_of_what_a_rate_has_faded() -> None:
    truth = _lattice(0.4)
    faded = 1 + 0.6 * (truth - 1)
    counts = torch.poisson(LEVEL * truth, generator=torch.Generator().manual_seed(1))
    found = drain(residual_step(counts, torch.ones_like(counts), LEVEL * faded, 0.0, LIGHT)) / LEVEL
    assert (found - truth).square().mean() < 0.85 * (faded - truth).square().mean()


def test_without_windows_a_flat_rate_stays_flat() -> None:
    counts = torch.poisson(LEVEL * _lattice(0.4), generator=torch.Generator().manual_seed(1))
    flat = torch.full_like(counts, LEVEL)
    torch.testing.assert_close(drain(residual_step(counts, torch.ones_like(counts), flat, 0.0, LIGHT)), flat)


@pytest.mark.parametrize("sigma", [10.0, 30.0])
def test_little_patches_of_a_photograph_tell_what_a_blur_has_smoothed(sigma: float) -> None:
    truth = torch.from_numpy(data.astronaut()[20:116, 180:276].copy()).movedim(2, 0).float()
    noisy = truth + sigma * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    blurred = torch.from_numpy(ndimage.gaussian_filter(noisy.numpy(), (0, 1.2, 1.2)))
    found = drain(correct_channels(noisy, torch.ones_like(noisy[0]), blurred, sigma**2, COLOURS))
    assert (found - truth).square().mean() < 0.8 * (blurred - truth).square().mean()


@pytest.mark.parametrize("shape", [(60, 61), (97, 130)])
def test_patches_are_found_alike_whether_all_or_every_second_pixel_is_compared(shape: tuple[int, int]) -> None:
    y, x = torch.meshgrid(*(torch.arange(side) for side in shape), indexing="ij")
    truth = LEVEL * (1 + 0.4 * torch.cos(2 * torch.pi * x / 9) * torch.cos(2 * torch.pi * y / 11))
    counts, truth = torch.poisson(truth, generator=torch.Generator().manual_seed(1))[None], truth[None]
    variance = truth.clone()
    compared = [Patches(side=17, reach=20, step=4, every=every) for every in (1, 2)]
    every, second = (list(similar_patches(counts, truth, variance, patches))[-1] for patches in compared)
    assert (every - second).square().mean() < 0.1 * (every - counts).square().mean()
