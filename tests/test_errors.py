"""Errors read as one sentence."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.noise import Poisson


def test_a_validation_error_becomes_one_sentence():
    with pytest.raises(ValidationError) as caught:
        Poisson(gain=-1)
    sentence = str(GanDenoiseError.from_validation(caught.value))
    assert sentence == "gain: input should be greater than 0, not -1."
