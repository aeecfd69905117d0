"""Errors read as one sentence."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.settings.restore import RestoreConfig


def test_a_validation_error_becomes_one_sentence():
    with pytest.raises(ValidationError) as caught:
        Poisson(gain=-1)
    sentence = str(GanDenoiseError.from_validation(caught.value))
    assert sentence == "gain: input should be greater than 0, not -1."


def test_what_is_missing_or_concerns_several_fields_shows_no_value():
    with pytest.raises(ValidationError) as caught:
        RestoreConfig()
    assert str(GanDenoiseError.from_validation(caught.value)) == "task: field required."
    with pytest.raises(ValidationError) as caught:
        BatchConfig(inputs="a.tif", output="out", drawn=True)
    sentence = "drawn is for jobs that restore: leave it out, or set job to restore."
    assert str(GanDenoiseError.from_validation(caught.value)) == sentence


def test_fields_can_be_called_what_the_user_calls_them():
    with pytest.raises(ValidationError) as caught:
        Poisson(gain=-1)
    sentence = str(GanDenoiseError.from_validation(caught.value, lambda path: f"--{path[0]}"))
    assert sentence == "--gain: input should be greater than 0, not -1."
