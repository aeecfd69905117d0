"""A discriminator's word: the paper's expression, finite everywhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_gandenoise.recovery.realism import realism


@given(st.floats(-30, 30))
def test_realism_is_the_paper_s_expression(logit):
    belief = 1 / (1 + math.exp(-logit))
    naive = math.log(1 - belief) - math.log(belief)
    # 1 - D loses digits as D nears one: as many as exp(logit) has.
    assert float(realism(torch.tensor(logit, dtype=torch.float64))) == pytest.approx(
        naive, abs=1e-15 * math.exp(abs(logit)) + 1e-9
    )


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_realism_stays_finite_where_the_logarithms_do_not(logit):
    belief = torch.sigmoid(torch.tensor(logit))
    assert not torch.isfinite(torch.log(1 - belief) - torch.log(belief))
    at = torch.tensor(logit, requires_grad=True)
    value = realism(at)
    (slope,) = torch.autograd.grad(value, at)
    assert float(value.detach()) == -logit
    assert float(slope) == -1.0
