"""The template bank: a matched filter, kept on disk."""

from __future__ import annotations

from dataclasses import replace

import pooch
import pytest
import torch

from napari_gandenoise.inversion.bank import Bank, template_bank


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda _: folder)
    return folder


def test_a_template_in_noise_is_found_by_its_own_filter(model, generator, cache):
    bank = template_bank(model, 200)
    strength = 12 / bank.templates[:50].square().sum(dim=1).sqrt()  # twelve standard deviations of a matched filter
    noisy = strength[:, None] * bank.templates[:50] + torch.randn(50, 64 * 64, generator=generator)
    found = bank.best(noisy.view(50, 1, 64, 64))
    assert (found == torch.arange(50)).float().mean() > 0.9


def test_the_likeliest_template_wins_and_not_the_strongest(generator):
    weak, strong = torch.tensor([1.0, -1.0, 0.0, 0.0]), torch.tensor([30.0, -10.0, -10.0, -10.0])
    bank = Bank(torch.zeros(2, 1), torch.stack([weak, strong]))
    assert bank.best(torch.tensor([[5.0, -5.0, 0.0, 0.0]])) == 0


def test_an_inverted_template_does_not_count():
    bank = Bank(torch.zeros(2, 1), torch.tensor([[1.0, -1.0, 0.0], [0.1, 0.1, -0.2]]))
    assert bank.best(torch.tensor([[-9.0, 9.0, -0.5]])) == 1


def test_the_second_run_reads_what_the_first_one_made(model, cache, when_drawing):
    drawn = []
    when_drawing(lambda latents: drawn.append(len(latents)))
    first = template_bank(model, 64)
    assert sum(drawn) == 64
    assert len(list(cache.iterdir())) == 1
    second = template_bank(model, 64)
    assert sum(drawn) == 64
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(first.templates, second.templates)


def test_each_model_and_size_has_its_own_file(model, cache):
    template_bank(model, 8)
    template_bank(model, 16)
    template_bank(replace(model, sha256="0" * 64), 8)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("spoil", [lambda whole: whole[:100], lambda whole: whole[:0], lambda whole: whole[:-1]])
def test_a_corrupt_cache_is_made_anew(model, cache, spoil):
    first = template_bank(model, 16)
    (stored,) = cache.iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(spoil(whole))
    again = template_bank(model, 16)
    assert torch.equal(first.templates, again.templates)
    assert stored.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(model, cache):
    cache.write_text("a file where the folder should be")
    assert template_bank(model, 8).templates.shape == (8, 64 * 64)


def test_a_model_that_never_was_in_a_file_is_not_cached(model, cache):
    template_bank(replace(model, sha256=""), 8)
    assert not cache.exists()
