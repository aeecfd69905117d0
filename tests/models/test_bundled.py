"""Models by name: those that come with the package, and the user's own."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from napari_gandenoise.cli import app
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import (
    bundled_names,
    export_model,
    install_model,
    list_models,
    load_model,
    model_card,
    save_model,
    user_folder,
    verify_model,
)
from napari_gandenoise.models.networks import Discriminator, standardise
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
        mean, _ = model.encoder(standardise(500 * (1 + 0.5 * template), disk(model.size)))
    found = model.render(mean)
    own, others = ((found - t).square().mean() for t in (template, template.roll(1, 0)))
    assert own < 0.6 * others


@pytest.mark.parametrize("name", ["hrtm", "", "../hrtem", "model.pt"])
def test_an_unknown_name_is_answered_with_those_there_are(name):
    with pytest.raises(GanDenoiseError, match=r"There is no model called .*hrtem"):
        load_model(name)


@pytest.fixture
def tiny_file(tmp_path, tiny_model):
    path = tmp_path / "runs" / "tiny.safetensors"
    path.parent.mkdir()
    save_model(path, tiny_model)
    return path


def test_an_installed_model_is_found_by_the_name_it_was_given(tiny_file):
    copy = install_model(tiny_file, "my gold")
    assert copy.parent == user_folder()
    assert [card.name for card in list_models()] == [*bundled_names(), "my gold"]
    assert load_model("my gold").sha256 == load_model(tiny_file).sha256


def test_installing_does_not_replace_a_model_unasked(tiny_file, tiny_model):
    install_model(tiny_file, "gold")
    header = tiny_model.header.model_copy(update={"description": "better"})
    save_model(tiny_file, replace(tiny_model, header=header))
    with pytest.raises(GanDenoiseError, match="gold already"):
        install_model(tiny_file, "gold")
    assert load_model("gold").header.description != "better"
    install_model(tiny_file, "gold", overwrite=True)
    assert load_model("gold").header.description == "better"


@pytest.mark.parametrize("name", ["hrtem", "", "../up", "a/b", ".hidden", "x.safetensors", "end."])
def test_names_that_cannot_be_are_refused(tiny_file, name):
    with pytest.raises(GanDenoiseError, match="name"):
        install_model(tiny_file, name)
    assert not user_folder().exists() or not any(user_folder().iterdir())


def test_a_damaged_file_is_not_installed_and_hides_no_other(tiny_file):
    damaged = tiny_file.with_name("damaged.safetensors")
    damaged.write_bytes(tiny_file.read_bytes()[:-100])
    with pytest.raises(GanDenoiseError, match="damaged"):
        install_model(damaged, "bad")
    install_model(tiny_file, "good")
    (user_folder() / "bad.safetensors").write_bytes(damaged.read_bytes())
    assert [card.name for card in list_models()] == [*bundled_names(), "good"]


def test_bad_models_are_listed_as_bad_each_with_a_reason(tiny_file):
    install_model(tiny_file, "good")
    whole = tiny_file.read_bytes()
    (user_folder() / "cut.safetensors").write_bytes(whole[:-100])
    (user_folder() / "odd.safetensors").write_bytes(whole.replace(b'"F16"', b'"F17"', 1))
    os.mkfifo(user_folder() / "pipe.safetensors")
    bad = {}
    assert [card.name for card in list_models(bad)] == [*bundled_names(), "good"]
    assert list(bad) == ["cut", "odd", "pipe"]
    listed = CliRunner().invoke(app, ["models", "list"]).output.splitlines()
    assert sum("bad: " in line for line in listed) == 3
    assert any(line.startswith("good  ") for line in listed)


def test_export_copies_the_bytes_and_never_over_a_file_unasked(tmp_path):
    copy = export_model("hrtem", tmp_path)
    assert copy == tmp_path / "hrtem.safetensors"
    assert copy.read_bytes() == load_model("hrtem").path.read_bytes()
    with pytest.raises(GanDenoiseError, match="exists already"):
        export_model("hrtem", copy)
    with pytest.raises(GanDenoiseError, match=r"must end in \.safetensors"):
        export_model("hrtem", tmp_path / "model.pt")
    assert export_model(copy, copy, overwrite=True).read_bytes()  # onto itself


def test_a_photographic_model_has_no_pixel_size(tmp_path, tiny_model):
    header = tiny_model.header.model_copy(update={"pixel_size_nm": None})
    save_model(tmp_path / "photo.safetensors", replace(tiny_model, header=header))
    assert model_card(load_model(tmp_path / "photo.safetensors")).sampling == "no pixel size"
    assert model_card(load_model("hrtem")).sampling.endswith("pm/pixel")


def test_the_bundled_model_is_sound_and_one_that_draws_one_picture_is_not(tiny_model):
    verify_model(load_model("hrtem"))
    verify_model(tiny_model)
    for parameter in tiny_model.generator.parameters():
        parameter.data.zero_()
    with pytest.raises(GanDenoiseError, match="same picture"):
        verify_model(tiny_model)


def test_verify_refuses_a_discriminator_that_says_nothing(tiny_model):
    judge = Discriminator(tiny_model.header.architecture, norm=False)
    verify_model(replace(tiny_model, discriminator=judge))
    with torch.no_grad():
        judge.head.weight.fill_(3e38)
    with pytest.raises(GanDenoiseError, match="The discriminator of tiny says"):
        verify_model(replace(tiny_model, discriminator=judge))


def test_a_small_copy_has_half_the_size_and_is_sound(tmp_path):
    whole, small = (export_model("hrtem", tmp_path / f"{bits}.safetensors", bits=bits) for bits in (16, 8))
    assert small.stat().st_size < 0.52 * whole.stat().st_size
    assert [load_model(path).header.bits for path in (whole, small)] == [16, 8]
    verify_model(load_model(small))
    with pytest.raises(GanDenoiseError, match="exists already"):
        export_model("hrtem", small, bits=8)


def test_a_model_whose_weights_do_not_fit_is_not_exported(tmp_path, tiny_model):
    small = tmp_path / "small.safetensors"
    with torch.no_grad():
        next(p for p in tiny_model.generator.parameters() if p.ndim > 1).fill_(1e6)
    save_model(small, tiny_model, bits=8)
    with pytest.raises(GanDenoiseError, match="too large for half precision"):
        export_model(small, tmp_path / "large.safetensors", bits=16)
    assert list(tmp_path.iterdir()) == [small]
