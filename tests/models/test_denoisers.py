"""Networks of direct denoisers: shapes, what they are told, and that no noise leaves an image as it is."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import DirectHeader, DirectModel, load_latent_model, load_model_file, save_model
from napari_gandenoise.models.bundled import model_card
from napari_gandenoise.models.critics import Critic, ImageDiscriminator, PatchCritic
from napari_gandenoise.models.denoisers import NoiseEstimator, make_denoiser
from napari_gandenoise.models.file import HEADER
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.settings.networks import AutoencoderArchitecture, EncoderDecoderArchitecture, UNetArchitecture

UNET = UNetArchitecture(size=16, channels=3, widths=(4, 6), conditions=("strength", "grain"))
ARCHITECTURES = [
    UNET,
    EncoderDecoderArchitecture(size=16, channels=3, width=4, conditions=("strength", "grain")),
    AutoencoderArchitecture(size=16, channels=3, filters=(4, 4, 4), latent=20, conditions=("strength", "grain")),
]


def told(count: int, value: float) -> torch.Tensor:
    return torch.full((count, 1, 1, 1), value)


def shaken(architecture):
    """A network whose every weight matters: blocks that start as nothing are given something."""
    network = make_denoiser(architecture).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return network


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.kind)
def test_no_noise_leaves_the_image_as_it_is(architecture):
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    cleaned = shaken(architecture)(images, told(3, 0.0), told(3, 1.0))
    assert (cleaned - images).abs().max() <= 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.kind)
@pytest.mark.parametrize("which", ["strength", "grain"])
def test_a_network_listens_to_what_it_is_told(architecture, which):
    network = shaken(architecture)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    weak = network(images, told(2, 0.2), told(2, 0.5))
    other = network(images, told(2, 0.4 if which == "strength" else 0.2), told(2, 1.5 if which == "grain" else 0.5))
    assert not torch.allclose(weak, other)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.kind)
def test_without_conditions_nothing_is_listened_to(architecture):
    network = shaken(architecture.model_copy(update={"conditions": ()}))
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(network(images, told(2, 0.1), told(2, 0.0)), network(images, told(2, 0.4), told(2, 2.0)))


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 8), width=st.integers(1, 8), channels=st.integers(1, 4))
def test_convolutional_networks_take_images_of_any_multiple(height, width, channels):
    for architecture in (
        UNetArchitecture(widths=(4, 6), channels=channels),
        EncoderDecoderArchitecture(channels=channels, width=4),
    ):
        images = torch.rand(1, channels, 4 * height, 4 * width)
        assert make_denoiser(architecture).eval()(images, told(1, 0.1), told(1, 0.0)).shape == images.shape


def test_an_untrained_unet_is_nearly_the_identity():
    # Its blocks start as their paths alone; what it predicts as noise is small beside noise of strength one.
    images = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    cleaned = make_denoiser(UNetArchitecture(widths=(8, 12)))(images, told(4, 1.0), told(4, 0.0))
    assert (cleaned - images).std() < 1.5


def test_the_paper_has_twelve_blocks_of_these_widths():
    network = make_denoiser(EncoderDecoderArchitecture(channels=1, width=8))
    convolutions = [*network.encoder, *network.middle, *network.decoder, network.leave]
    assert len(convolutions) == 12
    leaving = [
        next(m for m in block.modules() if isinstance(m, torch.nn.Conv2d)).out_channels for block in convolutions
    ]
    assert leaving == [8, 8, 8, 8, 4, 1, 4, 8, 8, 8, 8, 1]


def test_a_critic_scores_each_image_by_itself():
    critic = Critic(1, 4)
    images = torch.rand(3, 1, 32, 32)
    assert torch.allclose(critic(images), torch.cat([critic(image[None]) for image in images]), atol=1e-5)
    assert [f.shape[1] for f in critic.features(images)] == [4, 8, 32, 8, 4, 4]
    assert ImageDiscriminator(1, 4)(images).shape == (3,)


@pytest.fixture
def direct_model():
    header = DirectHeader(name="direct", architecture=UNET, intensity="absolute", strength=(0.0, 0.5))
    return DirectModel(header, shaken(UNET))


def test_a_direct_model_comes_back_from_its_file(direct_model, tmp_path):
    save_model(tmp_path / "direct.safetensors", direct_model)
    loaded = load_model_file(tmp_path / "direct.safetensors")
    assert isinstance(loaded, DirectModel)
    assert loaded.header == direct_model.header
    images = torch.rand(2, 3, 16, 16)
    given, wanted = (model.clean(images, told(2, 0.2), told(2, 1.0)) for model in (loaded, direct_model))
    assert torch.allclose(given, wanted, atol=2e-2)  # weights are stored in half precision
    verify_model(loaded)
    card = model_card(loaded)
    assert (card.name, card.latent, card.pixel_size_nm) == ("direct", None, None)


def test_a_direct_model_cannot_be_taken_for_a_latent_gan(direct_model, tmp_path):
    save_model(tmp_path / "direct.safetensors", direct_model)
    with pytest.raises(GanDenoiseError, match="direct is a direct denoiser"):
        load_latent_model(tmp_path / "direct.safetensors")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "unknown"}, "header that this version cannot use"),
        ({"widths": [4, 8]}, "does not hold the networks"),
        ({"widths": [4] * 40}, "header that this version cannot use"),
    ],
)
def test_a_header_that_promises_something_else_is_refused(direct_model, tmp_path, change, match):
    path = tmp_path / "direct.safetensors"
    save_model(path, direct_model)
    described = direct_model.header.model_dump(mode="json")
    described["architecture"] |= change
    save_file(load_file(path), path, metadata={HEADER: json.dumps(described)})
    with pytest.raises(GanDenoiseError, match=match):
        load_model_file(path)


def test_a_network_that_does_nothing_is_not_sound(tmp_path):
    architecture = UNetArchitecture(size=16, widths=(4, 6))
    network = make_denoiser(architecture)
    with torch.no_grad():
        network.leave.weight.zero_()
        network.leave.bias.zero_()
    model = DirectModel(DirectHeader(name="idle", architecture=architecture), network)
    with pytest.raises(GanDenoiseError, match="returns its input unchanged"):
        verify_model(model)


ESTIMATING = UNetArchitecture(size=16, widths=(4, 6), conditions=("estimated",), estimator=4)


def noisy_images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 1, 16, 24, generator=torch.Generator().manual_seed(2))


def test_a_network_that_is_told_nothing_takes_its_own_estimate():
    network, images = shaken(ESTIMATING), noisy_images()
    cleaned, estimated = network.with_estimate(images, told(3, torch.nan), told(3, 0.0))
    assert estimated.shape == (3, 3, 16, 24)
    assert torch.isfinite(cleaned).all()
    assert torch.equal(network(images, estimated[:, :1].exp(), told(3, 0.0)), cleaned)
    assert not torch.allclose(network(images, told(3, 0.1), told(3, 0.0)), cleaned)
    assert torch.allclose(network(images, told(3, 0.0), told(3, 0.0)), images, atol=1e-3)


def test_what_a_denoiser_makes_of_an_estimate_does_not_train_the_estimator():
    network = shaken(ESTIMATING)
    cleaned, estimated = network.with_estimate(noisy_images(), told(3, torch.nan), told(3, 0.0))
    cleaned.square().sum().backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in network.estimator.parameters())
    estimated.sum().backward()
    assert all(parameter.grad is not None for parameter in network.estimator.parameters())


@pytest.mark.parametrize("factor", [0.05, 30.0])
def test_an_image_so_many_times_as_strong_has_an_estimate_as_many_times_as_large(factor):
    torch.manual_seed(0)
    estimator, images = NoiseEstimator(1, 6), noisy_images()
    plain, scaled = estimator(images), estimator(factor * images + 3)
    assert torch.allclose(scaled[:, 0], plain[:, 0] + torch.tensor(factor).log(), atol=1e-2)
    assert torch.allclose(scaled[:, 1:], plain[:, 1:], atol=1e-2)


def test_a_map_of_strength_is_listened_to_where_it_says_something():
    network = shaken(UNetArchitecture(widths=(4, 6), conditions=("strength",)))
    images = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    even = torch.full((1, 1, 64, 64), 0.3)
    assert torch.allclose(network(images, even, told(1, 0.0)), network(images, told(1, 0.3), told(1, 0.0)), atol=1e-5)
    half = even.clone()
    half[..., :32] = 0.0
    assert torch.allclose(network(images, half, told(1, 0.0))[..., :32], images[..., :32], atol=1e-5)


def test_a_patch_critic_sees_seventy_pixels_beside_the_noisy_image():
    critic = PatchCritic(1, 4)
    images = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    noisy = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(1))
    scores = critic(images, noisy)
    assert scores.shape == (2, 1, 14, 14)  # Isola et al. 2017: 70x70 patches, strided by 8, and two rows of padding
    (gradient,) = torch.autograd.grad(scores[0, 0, 7, 7], images)
    seen = gradient[0, 0].nonzero()
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [70, 70]
    assert not gradient[1].any()
    # Units of the image are no business of the critic.
    assert torch.allclose(critic(5 * images - 2, 5 * noisy - 2), scores, atol=1e-4)
