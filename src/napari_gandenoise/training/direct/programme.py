"""Training a direct denoiser: its networks, its stages, its validation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import DirectHeader, DirectModel, load_model
from napari_gandenoise.models.calibration import Calibration, Case, learnt
from napari_gandenoise.models.critics import Critic, ImageDiscriminator, PatchCritic, PosteriorCritic
from napari_gandenoise.models.denoisers import UNet, make_denoiser
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.settings.networks import DirectArchitecture, UNetArchitecture
from napari_gandenoise.settings.train import (
    AutoencoderRecipe,
    DirectTrainConfig,
    PosteriorGanRecipe,
    RestorationGanRecipe,
    SupervisedRecipe,
    WassersteinRecipe,
)
from napari_gandenoise.training.checkpoint import Parts
from napari_gandenoise.training.clock import Clock
from napari_gandenoise.training.direct.adversarial import RelativisticRestoration, Wasserstein
from napari_gandenoise.training.direct.autoencoder import AdversarialAutoencoder, Judging, Reconstruction
from napari_gandenoise.training.direct.exposure import Exposure, Pairs, peak_signal_noise_ratio
from napari_gandenoise.training.direct.parts import Branch, DirectParts, unknown_if_estimated
from napari_gandenoise.training.direct.posterior import MANY, WANTED, PosteriorSampling, Steering, draw, gained
from napari_gandenoise.training.direct.stages import Supervised, Testing
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.programme import SHOWN, Stage, TrainPreview
from napari_gandenoise.training.supply import Supply

__all__ = ["DirectProgramme"]

CALIBRATED = 32  # held-out tiles that the factors of draws are learnt from, at most
JUDGED = 8  # held-out tiles that are drawn from at a validation
COLLAPSED = 1.0  # dB


class DirectProgramme:
    """A direct denoiser in training; see `napari_gandenoise.training.programme.Programme`.

    Parameters
    ----------
    config : DirectTrainConfig
        The run.
    supply : Supply
        Real tiles.
    draws : Draws
        Source of noise.
    clock : Clock
        How long the run has worked.
    ranks : Ranks
        The processes that share the work.
    """

    def __init__(self, config: DirectTrainConfig, supply: Supply, draws: Draws, clock: Clock, ranks: Ranks) -> None:
        self.config = config = _as_started(config)
        self.supply = supply
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = make_denoiser(config.architecture)
            judge: nn.Module | None = None
            sampler: Sampler | None = None
            if isinstance(config.recipe, WassersteinRecipe):
                judge = Critic(config.channels, config.recipe.critic_width)
            elif isinstance(config.recipe, RestorationGanRecipe):
                judge = PatchCritic(config.channels, config.recipe.critic_width)
            elif isinstance(config.recipe, PosteriorGanRecipe):
                judge = PosteriorCritic(config.channels, config.recipe.critic_width)
                assert isinstance(config.architecture, UNetArchitecture)
                sampler = Sampler(config.architecture)
            elif isinstance(config.recipe, AutoencoderRecipe):
                judge = ImageDiscriminator(config.channels, config.recipe.judge_width)
        for module in filter(None, (network, judge, sampler)):
            module.to(device=draws.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean = deepcopy(network).eval().requires_grad_(False)
        branch = None
        if sampler is not None:
            network.eval().requires_grad_(False)
            average = deepcopy(sampler).eval().requires_grad_(False)
            branch = Branch(sampler, average, Steering().to(draws.device))
        self.parts_ = DirectParts(
            config, network, mean, judge, supply, Exposure(config, draws), draws, clock, ranks, branch
        )

    def parts(self) -> Parts:
        """Return what has a state."""
        own = self.parts_
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "network": own.network,
            "mean_network": own.mean,
            "optimiser": own.optimiser,
        }
        if own.judge is not None and own.judge_adam is not None:
            parts |= {"judge": own.judge, "judge_adam": own.judge_adam}
        if own.branch is not None:
            parts |= {"sampler": own.branch.sampler, "mean_sampler": own.branch.mean, "steering": own.branch.steering}
        return parts

    def networks(self) -> list[nn.Module]:
        """Return all networks."""
        own = self.parts_
        branch = () if own.branch is None else own.branch
        return [network for network in (own.network, own.mean, own.judge, *branch) if network is not None]

    def start(self, tiles: Tiles) -> None:  # noqa: ARG002 - nothing is learnt from the first tiles
        """Begin with the weights of another model, if the config names one."""
        if self.config.start is None:
            return
        model = load_model(self.config.start)
        if not isinstance(model, DirectModel) or not _alike(model.header.architecture, self.config.architecture):
            raise GanDenoiseError(
                f"{model.name} is another network than the one to be trained: give both the same architecture, or "
                "leave out start."
            )
        for network in (self.parts_.network, self.parts_.mean):
            network.load_state_dict(model.network.state_dict())
        for sampler in (self.parts_.branch or ())[:2]:
            assert isinstance(sampler, Sampler)
            assert isinstance(model.network, UNet)
            if model.sampler is None:
                sampler.begin_with(model.network)
            else:
                sampler.load_state_dict(model.sampler.state_dict())

    def resumed(self) -> None:
        """Complete what a checkpoint has restored: nothing is missing."""

    def hold_out(self, tiles: Tiles) -> None:
        """Expose tiles for validation, always in the same way."""
        self.held_out: Pairs = Exposure(self.config, Draws(self.config.seed, tiles.template.device)).expose(tiles)

    def stages(self) -> Iterator[Stage]:
        """Make each stage when its turn has come."""
        own = self.parts_
        stage: Stage
        match self.config.recipe:
            case SupervisedRecipe() as recipe:
                yield (stage := Supervised(own, recipe))
            case RestorationGanRecipe() as recipe:
                yield (stage := Supervised(own, SupervisedRecipe(), until=1 - recipe.share))
                yield (stage := RelativisticRestoration(own, recipe, _end(stage)))
            case PosteriorGanRecipe() as recipe:
                yield (stage := PosteriorSampling(own, recipe))
            case WassersteinRecipe() as recipe:
                yield (stage := Wasserstein(own, recipe))
            case AutoencoderRecipe() as recipe:
                yield (stage := Reconstruction(own))
                yield (stage := Judging(own, recipe, _end(stage)))
                yield (stage := AdversarialAutoencoder(own, recipe, _end(stage)))
        yield Testing(own, _end(stage))

    def preview(self) -> TrainPreview:
        """Show denoised tiles beside clean ones, black -1 and white 1."""
        pairs = Pairs(*(part[:SHOWN] for part in self.held_out))
        low, high = pairs.clean.amin(), pairs.clean.amax()
        own = self.parts_
        drawn = self._clean(pairs) if own.branch is None else self._drawn(pairs, 1)[1][0]
        shown = [drawn, pairs.clean]
        samples, real = ((2 * (x - low) / (high - low).clamp(min=1e-6) - 1).clamp(-1, 1).cpu().numpy() for x in shown)
        return TrainPreview(samples, real)

    def measure(self, stage: Stage) -> dict[str, float]:
        """Score the averaged network on held-out tiles, in full precision.

        Returns
        -------
        dict
            "validation PSNR" and "validation PSNR, noisy", dB, as `peak_signal_noise_ratio` has it; after the test
            "test PSNR", the mean over the held-out images.  Of a sampler also how much the mean of eight draws gains
            on one, dB, and in how many pixels the truth lies within two standard deviations of the draws, percent.
        """
        pairs = self.held_out
        images = {"validation PSNR": self._clean(pairs), "validation PSNR, noisy": pairs.noisy}
        figures = {name: peak_signal_noise_ratio(image, pairs, self.config) for name, image in images.items()}
        if self.parts_.branch is not None:
            figures |= self._of_draws(Pairs(*(part[:JUDGED] for part in pairs)))
        return figures | ({"test PSNR": stage.mean()} if isinstance(stage, Testing) else {})

    def _of_draws(self, pairs: Pairs) -> dict[str, float]:
        """Return what tells whether draws are as far apart as they are from the truth."""
        cleaned, images = self._drawn(pairs, MANY)
        unit = pairs.strength.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
        spread = images.var(dim=0)
        error = (images.mean(0) - pairs.clean).square() - spread / MANY
        gain = gained((error / unit).mean(), (spread / unit).mean())
        within = (cleaned - pairs.clean).abs() < 2 * spread.sqrt()
        return {"validation mean of 8, dB": float(gain), "validation coverage, %": 100 * float(within.float().mean())}

    def _calibration(self) -> Calibration:
        """Learn from held-out tiles what draws are to be multiplied by."""
        cases = []
        held_out = Pairs(*(part[:CALIBRATED] for part in self.held_out))
        parts = zip(*(part.split(self.parts_.batch) for part in held_out), strict=True)
        for pairs in (Pairs(*part) for part in parts):
            cleaned, images = self._drawn(pairs, MANY)
            apart = (images - images.mean(dim=0)).mul(math.sqrt(MANY / (MANY - 1)))
            strengths = pairs.strength.mean(dim=(1, 2, 3)).tolist()
            # Channels are draws of their own.
            for number, strength in enumerate(strengths):
                drawn = apart[:, number].flatten(0, 1).cpu().numpy()
                shown, truth = (one[number].mean(dim=0).cpu().numpy() for one in (cleaned, pairs.clean))
                cases.append(Case(drawn, shown, truth, strength))
        return learnt(cases)

    @torch.no_grad()
    def _drawn(self, pairs: Pairs, count: int) -> tuple[Tensor, Tensor]:
        """Draw from the averaged sampler, always the same: cleaned ``(N, C, H, W)``, drawn ``(count, N, C, H, W)``."""
        own = self.parts_
        assert own.branch is not None
        assert isinstance(own.mean, UNet)
        found = draw(own.mean, own.branch.mean, pairs, count, Draws(self.config.seed, pairs.noisy.device))
        return found.cleaned, found.images

    def alarm(self, step: int, values: dict[str, float]) -> str:  # noqa: ARG002
        """Say when draws are all the same; other losses show by themselves when a run goes wrong."""
        gain = values.get("validation mean of 8, dB", WANTED)
        if gain < COLLAPSED:
            return (
                f"The draws hardly differ: their mean gains {gain:.1f} dB on one of them, where {WANTED:.1f} are due."
            )
        return ""

    def model(self, stage: Stage, step: int, metrics: dict[str, float]) -> DirectModel:  # noqa: ARG002
        """Return the averaged network."""
        config, strength = self.config, self.config.noise.strength
        if config.tiles.intensity == "template":
            strength = (config.dose[1] ** -0.5, config.dose[0] ** -0.5)
        elif config.tiles.intensity == "standard":
            strength = (0.0, 1.0)  # all noise there is: the scale is that of the noisy image
        header = DirectHeader(
            name=config.name,
            description=config.description,
            architecture=config.architecture,
            intensity=config.tiles.intensity,
            strength=strength,
            pixel_size_nm=self.supply.pixel_size_nm,
            training={**config.model_dump(mode="json", exclude={"data", "output"}), "step": step},
            metrics=metrics,
            samples=None if self.parts_.branch is None else self._calibration(),
        )
        branch = self.parts_.branch
        return DirectModel(header, self.parts_.mean, sampler=None if branch is None else branch.mean)

    @torch.no_grad()
    def _clean(self, pairs: Pairs) -> Tensor:
        told = unknown_if_estimated(self.parts_.mean, pairs)
        # In parts: on a GPU all held-out tiles at once take more memory than a step does.
        parts = zip(*(part.split(self.parts_.batch) for part in (pairs.noisy, told, pairs.grain)), strict=True)
        return torch.cat([self.parts_.mean(*part) for part in parts])


def _as_started(config: DirectTrainConfig) -> DirectTrainConfig:
    """Return the config of a run beside another network with that one's architecture."""
    if not isinstance(config.recipe, PosteriorGanRecipe) or config.start is None:
        return config
    architecture = load_model(config.start).header.architecture
    if not isinstance(architecture, UNetArchitecture) or architecture.channels != config.channels:
        raise GanDenoiseError(f"{config.start} is no U-Net of {config.channels} channel(s): name one as start.")
    if config.size % architecture.multiple:
        raise GanDenoiseError(f"With {config.start}, architecture.size must be a multiple of {architecture.multiple}.")
    return config.model_copy(update={"architecture": architecture.model_copy(update={"size": config.size})})


def _alike(one: DirectArchitecture, other: DirectArchitecture) -> bool:
    """Whether the weights of one network are those of another; a convolutional one has none for its tiles' size."""
    if one.kind != "autoencoder" and other.kind == one.kind:
        one = one.model_copy(update={"size": other.size})
    return one == other


def _end(stage: Stage) -> int:
    """Count the steps of the run up to the end of a stage, known once it is over."""
    return stage.first + stage.steps
