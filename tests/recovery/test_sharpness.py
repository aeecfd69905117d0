"""The sharpness attribute of a model: what recovery misses on average, and what adding it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.bank import bank_for
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.models import load_model_file
from napari_gandenoise.progress import Progress, drain
from napari_gandenoise.recovery import sharpness_steps
from napari_gandenoise.recovery.clipping import bounds_of
from napari_gandenoise.recovery.latents import recover_latents, sharpened
from napari_gandenoise.recovery.sharpness import expose
from napari_gandenoise.settings.recover import SharpnessConfig

LEVEL = 0.5
CONFIG = SharpnessConfig(images=60, levels=(0.2, LEVEL), preset="fast", objective="likelihood", clipping="projected")


@pytest.fixture(scope="module", params=["normal", "uniform"])
def photographs(request, tmp_path_factory, write_photograph_model):
    return load_model_file(write_photograph_model(tmp_path_factory.mktemp("models"), prior=request.param))


def recovered(model, latents, level, seed=9):
    objective = expose(model, model.render(latents), level, torch.Generator().manual_seed(seed))
    preset = PRESETS["fast"]
    random = torch.Generator().manual_seed(0)
    return objective, drain(recover_latents(objective, preset, random, bank_for(model, preset)))


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_exposed_photographs_have_the_noise_that_was_asked_for(photographs, level):
    latents = photographs.draw_latents((20,), torch.Generator().manual_seed(2))
    objective = expose(photographs, photographs.render(latents), level, torch.Generator().manual_seed(3))
    white = 2 * objective.mean
    noise = (objective.tiles.counts / white - (1 + photographs.render(latents)) / 2).std().item()
    assert noise == pytest.approx(level, rel=0.02)
    assert objective.noise_level().numpy() == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("level", [0.1, 0.3, 1.0])
def test_exposed_templates_have_the_noise_that_was_asked_for(model, level):
    latents = model.draw_latents((30,), torch.Generator().manual_seed(2))
    objective = expose(model, model.render(latents), level, torch.Generator().manual_seed(3))
    assert objective.noise_level().numpy() == pytest.approx(level, rel=0.1)
    # Standardised, a template is worth 1 / (2 level), and the rest is noise of unit variance.
    templates = model.render(latents)
    seen = (objective.tiles.exposure > 0).expand_as(templates)
    left = objective.standardised() - (templates - templates.mean((1, 2, 3), keepdim=True)) / (2 * level)
    assert left[seen].std().item() == pytest.approx(1, rel=0.05)


def test_saturated_noise_is_that_of_files_of_eight_bits(photographs, model):
    latents = photographs.draw_latents((5,), torch.Generator().manual_seed(2))
    free, cut = (
        expose(photographs, photographs.render(latents), 0.7, torch.Generator().manual_seed(3), saturated=saturated)
        for saturated in (False, True)
    )
    white = float(2 * free.mean[0])
    np.testing.assert_allclose(cut.tiles.counts.numpy(), free.tiles.counts.numpy().clip(0, white))
    assert (free.tiles.counts < 0).any()
    with pytest.raises(GanDenoiseError, match="no black and white"):
        next(sharpness_steps(model, SharpnessConfig(saturated=True)))


@pytest.mark.slow
def test_it_is_the_mean_of_true_minus_recovered(photographs):
    sharp = drain(sharpness_steps(photographs, CONFIG))
    assert sharp.header.sharpness.levels == CONFIG.levels
    assert sharp.header.sharpness.images == 60
    assert photographs.sharpness is None
    generator = torch.Generator().manual_seed(CONFIG.seed)
    latents = photographs.draw_latents((60,), generator)
    missed = []
    for part in latents.split(50):
        objective = expose(photographs, photographs.render(part), LEVEL, generator)
        preset = PRESETS["fast"]
        found = drain(recover_latents(objective, preset, generator, bank_for(photographs, preset)))
        missed.append(part - found)
    torch.testing.assert_close(sharp.sharpness.shifts[1], torch.cat(missed).mean(0), atol=1e-4, rtol=1e-3)


def test_a_bias_that_all_images_share_is_taken_back(photographs):
    """Recovered latents that miss by the same vector are put right; the vector is learnt from other images."""
    bias = torch.linspace(-0.2, 0.2, photographs.latent)
    sharp = drain(sharpness_steps(photographs, CONFIG))
    sharp.sharpness.shifts[1] = bias
    latents = 0.5 * photographs.draw_latents((10,), torch.Generator().manual_seed(4)).clamp(-1, 1)
    found = sharpened(sharp, latents - bias, torch.full((10,), LEVEL))
    torch.testing.assert_close(found, latents, atol=1e-5, rtol=0)


def test_with_a_uniform_prior_the_sum_stays_within_its_bounds_unless_nothing_clips(photographs):
    sharp = drain(sharpness_steps(photographs, CONFIG))
    sharp.sharpness.shifts[:] = 3.0
    latents, level = torch.zeros(2, photographs.latent), torch.full((2,), LEVEL)
    bound = 1.0 if photographs.header.prior == "uniform" else 3.0
    assert (sharpened(sharp, latents, level) == bound).all()
    assert (sharpened(sharp, latents, level, bounded=False) == 3).all()


def test_the_same_seed_gives_the_same_attribute(photographs):
    config = CONFIG.model_copy(update={"images": 8, "levels": (LEVEL,), "clipping": "stochastic"})
    first, again, other = (
        drain(sharpness_steps(photographs, config.model_copy(update={"seed": seed}))).sharpness.shifts
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_progress_counts_images_level_by_level_and_closing_cancels(photographs):
    steps = sharpness_steps(photographs, CONFIG)
    first = next(steps)
    assert isinstance(first, Progress)
    assert (first.stage, first.total) == ("level 1/2", 60)
    steps.close()


def test_recovery_with_random_starts_and_brief_runs_finds_the_image(photographs):
    preset = replace(PRESETS["balanced"], random=8, propose=False, keep=4, brief=6, refine=100, gain=0.0)
    latents = 0.9 * photographs.draw_latents((6,), torch.Generator().manual_seed(5)).clamp(-1, 1)
    objective = expose(photographs, photographs.render(latents), 0.02, torch.Generator().manual_seed(6))
    random = torch.Generator().manual_seed(7)
    found = drain(recover_latents(objective, preset, random, None, bounds_of("stochastic", random)))
    truth, drawn = photographs.render(latents), photographs.render(found)
    # Six numbers from 3,072 pixels: far less is left than the noise itself, 0.04 over a range of 2.
    assert (truth - drawn).square().mean().sqrt() < 0.02


def test_a_model_without_it_says_so(photographs):
    with pytest.raises(ValueError, match="no sharpness attribute"):
        sharpened(photographs, torch.zeros(1, photographs.latent), torch.ones(1))


@pytest.mark.parametrize("levels", [(0.5, 0.1), (-1.0,), ()])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ValidationError):
        SharpnessConfig(levels=levels)
