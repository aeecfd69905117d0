"""The pose: fringes are found where a plane wave put them, and templates turn the way the angle says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.orientation import PERIODS, SPECTRUM, disk, fringe_angles, turn

SIZE = 64


def plane_wave(angle: float, period: float, size: int = SIZE) -> torch.Tensor:
    """Fringes whose wave vector lies along ``angle`` (from x towards y)."""
    axis = torch.arange(size) - (size - 1) / 2
    along = math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None]
    return torch.cos(2 * math.pi * along / period)


def apart_degrees(found: float, expected: float) -> float:
    """Angle between two fringe directions, which repeat after half a turn."""
    return abs(math.degrees(math.remainder(found - expected, math.pi)))


def blob(y: float, x: float, sigma: float, size: int = SIZE) -> torch.Tensor:
    axis = torch.arange(size) - (size - 1) / 2
    return torch.exp(-((axis[:, None] - y) ** 2 + (axis[None, :] - x) ** 2) / (2 * sigma**2))


def centre_of_mass(image: torch.Tensor) -> tuple[float, float]:
    axis = torch.arange(image.shape[-1]) - (image.shape[-1] - 1) / 2
    return float((image * axis[:, None]).sum() / image.sum()), float((image * axis[None, :]).sum() / image.sum())


@pytest.mark.parametrize("size", [16, 64, 65])
def test_disk_has_the_area_of_a_circle_and_all_its_symmetries(size):
    soft = disk(size)
    assert soft.sum().item() == pytest.approx(math.pi * size**2 / 4, rel=0.01)
    for same in (soft.flip(0), soft.flip(1), soft.T):
        assert torch.equal(soft, same)
    assert soft[0, 0] == 0
    assert soft[size // 2, size // 2] == 1


@settings(deadline=None, max_examples=40)
@given(angle=st.floats(-1.5, 1.5), period=st.floats(PERIODS[0] * 1.2, PERIODS[1] * 0.7))
def test_fringes_are_found_to_half_a_cell_of_the_spectrum(angle, period):
    found = fringe_angles(plane_wave(angle, period)[None], 1)
    half_diagonal, radius = math.sqrt(0.5), SPECTRUM / period
    assert apart_degrees(found.item(), angle) < math.degrees(half_diagonal / radius) + 0.2


def test_fringes_come_strongest_first_and_each_only_once():
    strong, weak = 0.3, 1.2
    lattice = plane_wave(strong, 9.0) + 0.8 * plane_wave(weak, 9.0)
    found = fringe_angles(lattice[None], 2)[0]
    assert apart_degrees(found[0].item(), strong) < 1.5
    assert apart_degrees(found[1].item(), weak) < 1.5


def test_slow_shading_is_no_fringe():
    shading = 20 * plane_wave(-0.9, 90.0)
    found = fringe_angles((shading - shading.mean() + plane_wave(0.5, 8.0))[None], 1)
    assert apart_degrees(found.item(), 0.5) < 2


@pytest.mark.parametrize("angle", [-1.2, -0.4, 0.0, 0.7, 1.4])
def test_turning_brings_fringes_along_x_to_lie_along_the_angle(angle):
    upright = (plane_wave(0.0, 8.0) * disk(SIZE))[None, None]
    turned = turn(upright, torch.tensor([angle]))
    assert apart_degrees(fringe_angles(turned[:, 0], 1).item(), angle) < 1.3


def test_turning_moves_a_feature_from_the_x_axis_to_the_angle():
    turned = turn(blob(0, 15, 3)[None, None], torch.tensor([math.pi / 6]))[0, 0]
    y, x = centre_of_mass(turned)
    assert (y, x) == pytest.approx((15 * math.sin(math.pi / 6), 15 * math.cos(math.pi / 6)), abs=0.05)


def test_turning_back_restores_a_smooth_template():
    smooth = blob(6, -8, 5)[None, None]
    there = turn(smooth, torch.tensor([0.8]))
    back = turn(there, torch.tensor([-0.8]))
    # Bicubic interpolation, twice, costs up to a hundredth of the peak each time.
    assert torch.allclose(back, smooth, atol=0.02)


def test_shift_moves_the_centre_in_output_pixels_whatever_the_angle():
    turned = turn(blob(0, 0, 3)[None, None], torch.tensor([1.1]), shift=torch.tensor([[4.0, -7.5]]))[0, 0]
    assert centre_of_mass(turned) == pytest.approx((4.0, -7.5), abs=0.05)


def test_scale_counts_template_pixels_per_output_pixel():
    half = turn(blob(0, 16, 6)[None, None], torch.zeros(1), size=32, scale=2.0)[0, 0]
    assert half.shape == (32, 32)
    assert centre_of_mass(half) == pytest.approx((0, 8), abs=0.15)
    assert half.sum().item() == pytest.approx(blob(0, 16, 6).sum().item() / 4, rel=0.01)
