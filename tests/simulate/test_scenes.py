"""Procedural scenes: what they are made of, and that no two are alike."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial import cKDTree

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.settings.scenes import SceneConfig, SceneKind
from napari_gandenoise.simulate.scenes import draw_scenes
from napari_gandenoise.simulate.scenes.columns import columns
from napari_gandenoise.simulate.scenes.fields import power_field
from napari_gandenoise.simulate.scenes.marks import marked
from napari_gandenoise.simulate.scenes.objects import (
    ELLIPSE,
    HEXAGON,
    RECTANGLE,
    covering,
    heap,
    nearest,
    objects_of,
    stamps,
)

KINDS = get_args(SceneKind)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slope_of(images: torch.Tensor, low: float, high: float) -> float:
    """Exponent of the power spectrum between two frequencies, by a fit to its radial mean; borders are faded out."""
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False)
    images = images - images.mean(dim=(-2, -1), keepdim=True)
    power = torch.fft.fft2(images * window[:, None] * window).abs().square().mean(dim=0)
    frequency = torch.fft.fftfreq(side)
    radius = (frequency[:, None] ** 2 + frequency**2).sqrt()
    edges = np.geomspace(low, high, 9)
    rings = [(radius >= a) & (radius < b) for a, b in pairwise(edges)]
    levels = [float(power[ring].mean().log()) for ring in rings]
    return float(np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), levels, 1)[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_images_that_differ(kind, channels):
    config = SceneConfig(kinds=(kind,), contrast=(0.8, 1.0), marks=0)
    images = draw_scenes(config, 3, 64, generator(4), channels)
    assert images.shape == (3, channels, 64, 64)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert (images.std(dim=(1, 2, 3)) > 0.02).all()
    assert (images[0] - images[1]).abs().mean() > 0.02
    assert torch.equal(images, draw_scenes(config, 3, 64, generator(4), channels))
    assert not torch.equal(images, draw_scenes(config, 3, 64, generator(5), channels))
    if channels == 3:
        assert (images[:, 0] - images[:, 2]).abs().max() > 0.01


@given(count=st.integers(1, 5), side=st.integers(17, 70), channels=st.sampled_from([1, 3]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_size_any_mixture(count, side, channels, seed):
    images = draw_scenes(SceneConfig(marks=0.5), count, side, generator(seed), channels)
    assert images.shape == (count, channels, side, side)
    assert torch.isfinite(images).all()
    assert ((images >= 0) & (images <= 1)).all()


def test_dead_leaves_have_the_spectrum_of_natural_images():
    # Power between k^-2 and k^-3 (Lee, Mumford and Huang 2001; natural images: about k^-2, sharp edges alone: k^-3).
    config = SceneConfig(kinds=("leaves",), blur=(0.3, 0.3), gamma=(1, 1), marks=0)
    assert -3.1 < slope_of(draw_scenes(config, 24, 256, generator())[:, 0], 0.015, 0.15) < -1.9


@pytest.mark.parametrize("slope", [2.0, 3.0])
def test_fields_have_the_power_law_they_were_asked_for(slope):
    fields = power_field(Chance(generator()), torch.full((24,), slope), 256)
    assert slope_of(fields, 0.02, 0.1) == pytest.approx(-slope, abs=0.35)  # the finest blur adds a little
    assert torch.allclose(fields.mean(dim=(1, 2)), torch.zeros(24), atol=1e-4)
    assert torch.allclose(fields.var(dim=(1, 2)), torch.ones(24), rtol=1e-3)


def test_radii_follow_the_power_law():
    # r^-3 between 2 and 50: the share above r is (r^-2 - 50^-2) / (2^-2 - 50^-2).
    radii = Chance(generator()).power_law(torch.full((100_000,), 2.0), torch.full((100_000,), 50.0), 3.0)
    for r in (3.0, 6.0, 20.0):
        expected = (r**-2 - 50**-2) / (2**-2 - 50**-2)
        assert (radii > r).float().mean() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(
    ("shape", "area"), [(ELLIPSE, np.pi), (RECTANGLE, 4.0), (HEXAGON, 2 * np.sqrt(3))], ids=["disc", "box", "hexagon"]
)
def test_objects_cover_their_area(shape, area):
    one = torch.tensor([0])
    place = torch.tensor([[50.3], [49.1]])
    thing = objects_of(
        one, place, torch.tensor([20.0]), torch.tensor([1.7]), torch.tensor([0.6]), torch.tensor([shape])
    )
    assert (covering(thing, 1, 100) == 1).sum() == pytest.approx(area * 20**2, rel=0.02)


def test_later_objects_lie_over_earlier_ones_and_domes_add_up():
    image = torch.zeros(2, dtype=torch.long)
    place = torch.tensor([[20.0, 24.0], [20.0, 20.0]])
    things = objects_of(image, place, torch.tensor([8.0, 8.0]), torch.ones(2), torch.zeros(2), image)
    top = covering(things, 1, 40)[0]
    assert top[20, 20] == 2
    assert top[13, 20] == 1
    assert top[0, 0] == 0
    # Two hemispheres of radius 8 and height 1: (2/3) π r² each.
    assert heap(things, torch.ones(2), 1, 40).sum() == pytest.approx(2 * 2 / 3 * np.pi * 64, rel=0.02)


def test_windows_reach_as_far_as_asked_and_stay_in_their_image():
    chance = Chance(generator())
    image = chance.integers(0, 3, 50)
    y, x = chance.uniform(-3, 33, 2, 50)
    reach = chance.uniform(1, 40, 50)
    seen = 0
    for stamp in stamps(image, y, x, reach, 30):
        inside = stamp.in_y & stamp.in_x
        pixel = stamp.pixel[inside]
        owner = stamp.which.view(-1, 1, 1).expand_as(inside)[inside]
        assert torch.equal(pixel // 900, image[owner])
        row = (stamp.dy + y[stamp.which].view(-1, 1, 1)).expand_as(inside)[inside]
        assert torch.allclose(row, (pixel % 900 // 30).float(), atol=1e-4)
        assert (stamp.dy.shape[1] // 2 >= reach[stamp.which] - 0.5).all()
        seen += len(stamp.which)
    assert seen == 50


def test_cells_are_those_of_the_nearest_seed():
    chance = Chance(generator())
    y, x = chance.uniform(0, 32, 2, 1, 9)
    line = torch.arange(32.0)
    which, first, second = nearest(y, x, line.view(1, 32, 1).expand(1, 32, 32), line.view(1, 1, 32).expand(1, 32, 32))
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    distances, numbers = cKDTree(torch.stack([y[0], x[0]], dim=1).numpy()).query(points, k=2)
    assert (which.flatten().numpy() == numbers[:, 0]).all()
    assert np.allclose(first.sqrt().flatten(), distances[:, 0], atol=1e-3)
    assert np.allclose(second.sqrt().flatten(), distances[:, 1], atol=1e-3)


def test_columns_repeat_with_their_period():
    # The strongest Fourier peak of a lattice lies at most one over the lattice lines' distance out: period × sin 60°.
    images = columns(Chance(generator(1)), 12, 256, (10.0, 10.0))
    window = torch.hann_window(256)
    power = torch.fft.rfft2((images - images.mean(dim=(1, 2), keepdim=True)) * window[:, None] * window).abs()
    down, across = torch.fft.fftfreq(256)[:, None], torch.fft.rfftfreq(256)
    radius = (down**2 + across**2).sqrt()
    power[:, radius < 0.03] = 0  # particle and edge
    strongest = radius.flatten()[power.flatten(1).argmax(dim=1)]
    sharpness = power.flatten(1).amax(dim=1) / power.flatten(1).median(dim=1).values
    assert (sharpness > 50).all()
    # Down to 1 / (1.9 × 10) along a long axis, up to twice the reciprocal vector for a centred cell.
    assert ((strongest > 0.045) & (strongest < 2.2 / (10 * np.sin(np.pi / 3)))).all()


def test_marks_leave_an_image_where_they_are_not():
    images = torch.full((12, 1, 128, 128), 0.5)
    after = marked(Chance(generator()), images)
    assert after.shape == images.shape
    changed = (after != 0.5).float().mean(dim=(1, 2, 3))
    assert (changed > 0.001).all()
    assert ((after >= 0) & (after <= 1)).all()


def test_inverting_exchanges_black_and_white():
    config = SceneConfig(kinds=("particles",), inverted=0, gamma=(1, 1), contrast=(1, 1), marks=0)
    positive, negative = (
        draw_scenes(config.model_copy(update={"inverted": share}), 4, 64, generator(8)) for share in (0.0, 1.0)
    )
    assert torch.allclose(positive, 1 - negative, atol=1e-5)


@pytest.mark.parametrize("fields", [{"kinds": ()}, {"contrast": (0.2, 1.5)}, {"blur": (2.0, 1.0)}, {"period": (0, 4)}])
def test_ranges_must_make_sense(fields):
    with pytest.raises(ValidationError):
        SceneConfig(**fields)
