"""The sharpness attribute: interpolated between levels, kept in the model file, and missed by nobody who has none."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file, save_model
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader


def attribute(levels, latent=3, seed=0):
    made = Sharpness(levels, latent)
    made.shifts.copy_(torch.randn(len(levels), latent, generator=torch.Generator().manual_seed(seed)))
    return made


@settings(deadline=None, max_examples=50)
@given(
    levels=st.lists(st.floats(0.01, 5), min_size=1, max_size=6, unique_by=lambda x: round(x, 2)).map(sorted),
    asked=st.lists(st.floats(0, 10), min_size=1, max_size=8),
)
def test_between_levels_it_is_linear_from_nothing_without_noise_to_the_highest(levels, asked):
    made = attribute(levels)
    known, values = [0.0, *levels], np.concatenate([np.zeros((1, 3)), made.shifts.numpy()])
    expected = np.stack([np.interp(asked, known, values[:, i]) for i in range(3)], axis=1)
    np.testing.assert_allclose(made(torch.tensor(asked)).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("levels", [(), (0.0, 1.0), (0.5, 0.5), (1.0, 0.5)])
def test_levels_rise_from_above_zero(levels):
    with pytest.raises(ValidationError):
        SharpnessHeader(levels=levels, images=4)


def test_it_is_stored_with_the_model(tiny_model, tmp_path):
    levels = (0.25, 0.5)
    header = SharpnessHeader(levels=levels, images=7, settings={"preset": "fast"})
    sharp = replace(
        tiny_model, header=tiny_model.header.model_copy(update={"sharpness": header}), sharpness=attribute(levels, 6)
    )
    save_model(tmp_path / "sharp.safetensors", sharp)
    loaded = load_model_file(tmp_path / "sharp.safetensors")
    assert loaded.header.sharpness == header
    # Stored in half precision.
    torch.testing.assert_close(loaded.sharpness.shifts, sharp.sharpness.shifts, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        loaded.sharpness(torch.tensor([0.375])), sharp.sharpness.shifts.mean(0)[None], rtol=1e-2, atol=1e-3
    )


def test_a_file_without_one_loads_as_before(tiny_model, tmp_path):
    save_model(tmp_path / "plain.safetensors", tiny_model)
    assert load_model_file(tmp_path / "plain.safetensors").sharpness is None


def test_an_attribute_of_other_levels_than_the_header_says_is_refused(tiny_model, tmp_path):
    header = tiny_model.header.model_copy(update={"sharpness": SharpnessHeader(levels=(0.25, 0.5, 1.0), images=7)})
    save_model(tmp_path / "odd.safetensors", replace(tiny_model, header=header, sharpness=attribute((0.25, 0.5), 6)))
    with pytest.raises(GanDenoiseError, match="sharpness/shifts"):
        load_model_file(tmp_path / "odd.safetensors")
