"""The models that come with the package."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import list_models, load_model, model_card
from napari_gandenoise.models.networks import standardise
from napari_gandenoise.orientation import disk, fringe_angles


def test_hrtem_is_listed_with_its_figures():
    cards = {card.name: card for card in list_models()}
    card = cards["hrtem"]
    assert 0.02 <= card.pixel_size_nm <= 0.03
    assert 50 <= card.latent <= 150
    assert 0 < card.size_bytes < 10e6
    assert len(card.sha256) == 64
    assert card.domain
    assert card == model_card(load_model("hrtem"))


def test_its_templates_are_disks_of_fringes_along_x():
    model = load_model("hrtem")
    templates = model.render(torch.randn(64, model.latent, generator=torch.Generator().manual_seed(0)))
    assert templates.shape == (64, 1, model.size, model.size)
    assert templates.abs().max() <= 1
    assert (templates[:, 0, disk(model.size) == 0] == 0).all()
    # Not one picture over and over, and oriented as the training tiles were.
    assert templates.std(dim=0).mean() > 0.02
    assert fringe_angles(templates[:, 0], 1).abs().median() < 0.1


def test_its_encoder_proposes_latents_near_the_template_it_sees():
    model = load_model("hrtem")
    latents = torch.randn(32, model.latent, generator=torch.Generator().manual_seed(1))
    template = model.render(latents)
    with torch.no_grad():
        mean, _ = model.encoder(standardise(500 * (1 + 0.5 * template)))
    found = model.render(mean)
    own, others = ((found - t).square().mean() for t in (template, template.roll(1, 0)))
    assert own < 0.6 * others


@pytest.mark.parametrize("name", ["hrtm", "", "../hrtem", "model.pt"])
def test_an_unknown_name_is_answered_with_those_there_are(name):
    with pytest.raises(GanDenoiseError, match=r"There is no model called .*hrtem"):
        load_model(name)
