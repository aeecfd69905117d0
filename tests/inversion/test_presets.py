"""How hard to look, with an encoder's proposal and without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_gandenoise.inversion.bank import bank_for, effort_of
from napari_gandenoise.inversion.presets import PRESETS


def test_presets_look_harder_from_one_to_the_next():
    fast, balanced, thorough = (PRESETS[name] for name in ("fast", "balanced", "thorough"))
    assert fast.spacing > balanced.spacing > thorough.spacing
    assert fast.refine < balanced.refine < thorough.refine


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "balanced", "thorough"])
def test_without_an_encoder_there_are_a_bank_and_several_candidates(model, name):
    preset = PRESETS[name]
    assert effort_of(model, preset) == preset
    assert bank_for(model, preset) is None
    blind = replace(model, encoder=None)
    effort = effort_of(blind, preset)
    assert (effort.spacing, effort.angles) == (preset.spacing, preset.angles)
    assert effort.refine > preset.refine
    assert effort.keep >= 2
    assert effort.brief > 0
    assert len(bank_for(blind, preset).latents) == effort.bank > 0


def test_the_published_search_is_the_same_for_all_models(model):
    for one in (model, replace(model, encoder=None)):
        assert effort_of(one, PRESETS["paper"]) == PRESETS["paper"]
        assert bank_for(one, PRESETS["paper"]) is None
