"""Training a latent GAN: the adversarial stage, and after it an encoder where one is trained on samples."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.models import Model, ModelHeader
from napari_gandenoise.models.networks import Encoder
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training.checkpoint import Parts
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.latent.alarms import Alarms
from napari_gandenoise.training.latent.encoder import EncoderStage
from napari_gandenoise.training.latent.recipes import Adversarial
from napari_gandenoise.training.latent.trainee import Trainee
from napari_gandenoise.training.latent.validation import Validation
from napari_gandenoise.training.programme import Stage, TrainPreview
from napari_gandenoise.training.supply import Supply

__all__ = ["LatentProgramme"]


class LatentProgramme:
    """A latent GAN in training; see `napari_gandenoise.training.programme.Programme`.

    Parameters
    ----------
    config : TrainConfig
        The run.
    supply : Supply
        Real tiles.
    draws : Draws
        Source of latents and noise.
    ranks : Ranks
        The processes that share the work.
    """

    def __init__(self, config: TrainConfig, supply: Supply, draws: Draws, ranks: Ranks) -> None:
        self.config = config
        self.supply = supply
        self.draws = draws
        self.ranks = ranks
        self.trainee = Trainee(config, draws.device)
        self.alarms = Alarms(config.recipe)

    def parts(self) -> Parts:
        """Return what has a state."""
        return self.trainee.parts()

    def networks(self) -> list[nn.Module]:
        """Return all networks."""
        return self.trainee.networks()

    def start(self, tiles: Tiles) -> None:
        """Take from the first tiles their power and, for linear paths, their components."""
        self.trainee.start(tiles.template)

    def resumed(self) -> None:
        """Without an encoder its average has no state of its own."""
        if self.config.encoder == "none":
            self.trainee.mean_encoder.load_state_dict(self.trainee.encoder.state_dict())

    def hold_out(self, tiles: Tiles) -> None:
        """Keep tiles for validation."""
        self.validation = Validation(self.config, tiles, self.supply.pixel_size_nm)

    def stages(self) -> Iterator[Stage]:
        """Make each stage when its turn has come."""
        parts = (self.config, self.trainee, self.supply, self.draws, self.ranks)
        yield Adversarial(*parts)
        if self.config.encoder == "samples":
            yield EncoderStage(*parts)

    def preview(self) -> TrainPreview:
        """Render samples beside real tiles."""
        return self.validation.preview(self.trainee.mean_generator)

    def measure(self, stage: Stage) -> dict[str, float]:
        """Validate in full precision, as the model will be used: half precision costs an inversion 6 dB."""
        return self.validation.measure(self.trainee.mean_generator, self._encoder(stage))

    def alarm(self, step: int, values: dict[str, float]) -> str:
        """Return what there is to say about the values of a step; mostly nothing."""
        return self.alarms.look(step, values)

    def model(self, stage: Stage, step: int, metrics: dict[str, float]) -> Model:
        """Return the averaged networks, and the discriminator as it is."""
        config, encoder = self.config, self._encoder(stage)
        # One that was never trained has nothing to say.
        judge = self.trainee.discriminator if config.adversarial_weight > 0 else None
        header = ModelHeader(
            name=config.name,
            description=config.description,
            architecture=config.architecture,
            prior=config.prior,
            pose=config.tiles.pose,
            intensity=config.tiles.intensity,
            pixel_size_nm=self.supply.pixel_size_nm,
            encoder=encoder is not None,
            discriminator=judge is not None,
            template_power=float(self.trainee.encoder.template_power),
            training={**config.model_dump(mode="json", exclude={"data", "output"}), "step": step},
            metrics=metrics,
        )
        return Model(header, self.trainee.mean_generator, encoder, judge)

    def _encoder(self, stage: Stage) -> Encoder | None:
        """Return the averaged encoder as soon as it is trained."""
        trained = self.config.encoder == "evidence" or isinstance(stage, EncoderStage)
        return self.trainee.mean_encoder if trained else None
