"""How to train: a latent GAN, or a direct denoiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from napari_gandenoise.settings.acquisition import AcquisitionConfig
from napari_gandenoise.settings.base import LARGEST_SEED, FolderPath, ModelName, Settings, configure, rising, setting
from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.data import PUBLIC, AnyData, TileConfig
from napari_gandenoise.settings.names import FileName
from napari_gandenoise.settings.networks import (
    DIRECT_KINDS,
    Architecture,
    DirectArchitecture,
    UNetArchitecture,
    is_direct,
)
from napari_gandenoise.settings.noise import NoiseMixture
from napari_gandenoise.settings.shared import DEVICES

__all__ = [
    "RECIPE_VALUES",
    "AnyTrainConfig",
    "AutoencoderRecipe",
    "DirectRecipe",
    "DirectTrainConfig",
    "EncoderMode",
    "PosteriorGanRecipe",
    "Recipe",
    "RestorationGanRecipe",
    "RunConfig",
    "SupervisedRecipe",
    "TrainConfig",
    "WassersteinRecipe",
    "kind_of_training",
    "read_training",
]

Recipe = Literal["stable", "bce", "wgan-gp"]
EncoderMode = Literal["evidence", "samples", "none"]

RECIPES: dict[Recipe, str] = {
    "stable": "Stable (relativistic)",
    "bce": "BCE (microscopy study)",
    "wgan-gp": "WGAN-GP",
}
DIRECT_RECIPES = {
    "supervised": "Supervised",
    "restoration-gan": "Restoration GAN",
    "posterior-gan": "Samples beside a U-Net",
    "wgan-gp": "WGAN-GP",
    "autoencoder-gan": "Autoencoder GAN",
}
NETWORKS = {kind: network.title for kind, network in DIRECT_KINDS.items()}
IMAGES = {
    "simulate": "Live simulation",
    "simulated": "Simulated set on disk",
    "modes": "Scenes, HRTEM and HAADF made on the training device",
    "folder": "Folder of images",
    **PUBLIC,
}
# What a recipe has instead of the fields' defaults where nothing is given: five critic steps and weight 10 are those of
# Gulrajani et al. 2017, algorithm 1; the study's bce exports the networks as they are, without an average.
RECIPE_VALUES: Mapping[str, Mapping[str, Any]] = {
    "wgan-gp": {"critic_steps": 5, "penalty": 10.0, "generator_rate": 2e-4},
    "bce": {"average": 0.0},
}
PER_LATENT = 40  # tiles for each latent before training begins: enough for principal components
TILES, LOSSES, ENCODER, RUN, NETWORK = "Tiles", "Losses and rates", "Encoder", "Run", "Network and losses"


class RunConfig(Settings):
    """What all training runs have in common."""

    name: FileName = setting(..., "Name of the model.", min_length=1, max_length=80)
    data: AnyData = setting(..., "Where the images come from.", title="Images", field="data", choices=IMAGES)
    output: FolderPath = setting(..., "Folder for checkpoints, history and the finished model.", field="folder")
    architecture: Architecture | DirectArchitecture  # which of them, each kind of run says
    steps: int = setting(20_000, "Training steps; the learning rates fall to zero at the last.", ge=1)
    batch: int = setting(48, "Tiles a step.", ge=2)
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Where to compute.", choices={**DEVICES, "mps": "Apple GPU"}
    )
    tiles: TileConfig = setting(TileConfig(), "How tiles are cut.", group=TILES)
    pixel_size_nm: float | None = setting(
        None,
        "Pixel size of the model, nm; by default that of the images.",
        title="Pixel size",
        unit="nm",
        group=TILES,
        gt=0,
    )
    dose: tuple[float, float] = setting(
        (1.0, 1100.0),
        "Electrons per model pixel at intensity 1, log-uniform, of noisy tiles; in a tile's mean of images that are "
        "made on the training device.",
        group=TILES,
    )
    pool: int = setting(20_000, "Tiles held in memory.", group=TILES, ge=64)
    fresh: int = setting(6, "New tiles a step.", group=TILES, ge=1)
    workers: int = setting(0, "Processes that cut tiles; 0 cuts them between steps.", group=TILES, ge=0)
    held_out: int = setting(40, "First images of the set, kept for validation.", group=TILES, ge=1)
    description: str = setting("", "What the images show; stored in the model file.", group=RUN, max_length=2000)
    average: float = setting(
        0.999,
        "Decay of the networks' average, which is exported; 0: the networks themselves.",
        group=RUN,
        ge=0,
        lt=1,
    )
    validate_every: int = setting(1000, "Steps between validations.", title="Validate at", group=RUN, ge=1)
    checkpoint_every: int = setting(500, "Steps between checkpoints.", title="Checkpoint at", group=RUN, ge=1)
    keep_checkpoints: int = setting(2, "Checkpoints kept, the latest ones.", title="Keep", group=RUN, ge=1)
    half_precision: bool = setting(True, "bfloat16 for networks where the processor is faster in it.", group=RUN)
    seed: int = setting(0, "Seed of weights, tiles and noise.", group=RUN, ge=0, le=LARGEST_SEED)

    _doses = field_validator("dose")(rising)

    @model_validator(mode="after")
    def _grey_if_oriented(self) -> RunConfig:
        if self.tiles.intensity == "standard" and isinstance(self.architecture, Architecture):
            raise ValueError("The intensity standard is for direct denoisers: set tiles.intensity to template.")
        if self.tiles.pose == "oriented" and self.channels != 1:
            raise ValueError("Tiles of several channels cannot be oriented: set tiles.pose to upright.")
        return self

    @property
    def size(self) -> int:
        """Tile side, pixels."""
        return self.architecture.size

    @property
    def drawn_size(self) -> int:
        """Side of the tiles that are drawn, pixels: what records them may cut off their rims."""
        return self.size

    @property
    def channels(self) -> int:
        """Image channels."""
        return self.architecture.channels

    @property
    @abstractmethod
    def tiles_to_begin(self) -> int:
        """Tiles wanted in the pool before the first step."""

    @property
    @abstractmethod
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""


class TrainConfig(RunConfig):
    """A latent GAN training run.

    Recipes: ``stable`` is the relativistic pairing loss with zero-centred gradient penalties; ``bce`` the microscopy
    study's (binary cross-entropy, real targets 0.9, two time scales); ``wgan-gp`` the Wasserstein distance with a
    gradient penalty.  Fields that are not given take the recipe's own value where `RECIPE_VALUES` has one.
    """

    architecture: Architecture = setting(Architecture(principal=True), "The networks.")
    recipe: Recipe = setting("stable", "The losses, and the values that go with them.", choices=RECIPES)
    prior: Literal["normal", "uniform"] = setting("normal", "Latents are N(0, 1) or uniform on [-1, 1].", group=LOSSES)
    generator_rate: float = setting(5e-4, "Learning rate of generator and encoder.", group=LOSSES, gt=0)
    discriminator_rate: float = setting(
        2e-4, "Learning rate of the discriminator.", title="Discriminator", group=LOSSES, gt=0
    )
    adversarial_weight: float = setting(
        1.0,
        "Weight of the adversarial loss beside the evidence loss, if there is one.",
        title="Adv. weight",
        group=LOSSES,
        ge=0,
    )
    adversarial_every: int = setting(
        1, "Adversarial part on every n-th step.", title="Adv. interval", group=LOSSES, ge=1
    )
    critic_steps: int = setting(1, "Discriminator updates for each update of the generator.", group=LOSSES, ge=1)
    penalty: float = setting(1.0, "Weight of the gradient penalties (stable and wgan-gp).", group=LOSSES, ge=0)
    encoder: EncoderMode = setting(
        "samples",
        "Train an encoder with the generator on the evidence lower bound, after it on the generator's own samples, or "
        "not at all.",
        group=ENCODER,
    )
    encoder_steps: int = setting(2_000, "Steps of an encoder trained on samples.", group=ENCODER, ge=1)

    @property
    def tiles_to_begin(self) -> int:
        """Tiles wanted in the pool before the first step: principal components need several for each latent."""
        return PER_LATENT * self.architecture.latent

    @property
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""
        return {"train": self.steps} | ({"encoder": self.encoder_steps} if self.encoder == "samples" else {})

    @model_validator(mode="before")
    @classmethod
    def _values_of_the_recipe(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {**RECIPE_VALUES.get(str(fields.get("recipe")), {}), **fields}

    @model_validator(mode="after")
    def _trains_something(self) -> TrainConfig:
        if self.encoder != "evidence" and self.adversarial_weight == 0:
            raise ValueError("adversarial_weight 0 trains nothing without the encoder mode evidence: set it above 0.")
        if self.encoder != "evidence" and self.adversarial_every > 1:
            raise ValueError(
                "adversarial_every above 1 leaves steps empty without the encoder mode evidence: set it to 1."
            )
        if self.encoder == "evidence" and self.prior == "uniform":
            raise ValueError("The encoder mode evidence needs prior normal: its latents are Gaussian.")
        return self


class SupervisedRecipe(Settings):
    """Pairs of noisy and clean tiles, and nothing else."""

    kind: Literal["supervised"] = "supervised"
    loss: Literal["mse", "poisson"] = setting(
        "mse",
        "Squared error in units of the noise, or the Poisson log-likelihood of the clean rate.",
        choices={"mse": "Squared error", "poisson": "Poisson likelihood"},
    )


class RestorationGanRecipe(Settings):
    """Squared error first, then also a relativistic patch critic, whose say is so small that PSNR hardly falls."""

    kind: Literal["restoration-gan"] = "restoration-gan"
    share: float = setting(
        0.2,
        "Share of the steps, or of the seconds, that are trained against the critic, at the end.",
        title="Critic's share",
        gt=0,
        lt=1,
    )
    adversarial: float = setting(
        0.15,
        "Length of the critic's gradient at a restored image over that of the squared error, which grows at most by "
        "the square of this: by 0.1 dB at 0.15.",
        ge=0,
        le=1,
    )
    rate: float = setting(1e-4, "Learning rate of the denoiser against the critic.", title="Rate with critic", gt=0)
    critic_width: int = setting(32, "Channels of the critic's first layer.", ge=4, le=256)
    critic_rate: float = setting(2e-4, "Learning rate of the critic.", gt=0)
    penalty: float = setting(1.0, "Weight of the zero-centred gradient penalties, per patch.", ge=0)


class PosteriorGanRecipe(Settings):
    """A branch beside a U-Net, which stays as it is, that draws what an image could be: Bendel et al. (2023)."""

    kind: Literal["posterior-gan"] = "posterior-gan"
    adversarial: float = setting(
        0.5, "Length of the critic's gradient at a draw over that of the other losses.", ge=0, le=10
    )
    critic_width: int = setting(32, "Channels of the critic's first layer.", ge=4, le=256)
    critic_rate: float = setting(4e-4, "Learning rate of the critic.", gt=0)
    penalty: float = setting(0.02, "Weight of the zero-centred gradient penalties, per patch.", ge=0)


class WassersteinRecipe(Settings):
    """Gong, Liu, Lv, "Image denoising with GAN based model" (2020): four losses with the paper's factors."""

    kind: Literal["wgan-gp"] = "wgan-gp"
    adversarial: float = setting(0.5, "Factor of the critic's score.", ge=0)
    pixel: float = setting(1.0, "Factor of the mean squared error.", ge=0)
    feature: float = setting(1.0, "Factor of the squared error of the critic's features.", ge=0)
    smoothness: float = setting(1e-4, "Factor of the squared differences of neighbouring pixels.", ge=0)
    critic_width: int = setting(16, "K2, channels of the critic's first block.", ge=4, le=256)
    critic_steps: int = setting(1, "Updates of the critic for each one of the denoiser.", ge=1)
    critic_rate: float = setting(1e-4, "Learning rate of the critic.", gt=0)
    truncation: float = setting(10.0, "The critic's scores are cut off at plus and minus this.", gt=0)
    penalty: float = setting(10.0, "Weight of the gradient penalty.", ge=0)


class AutoencoderRecipe(Settings):
    """The report "A denoising GAN": pre-training of both networks, then several updates of each in turn."""

    kind: Literal["autoencoder-gan"] = "autoencoder-gan"
    pretraining: int = setting(2000, "Steps of the denoiser alone.", ge=1)
    judge_pretraining: int = setting(300, "Steps of the discriminator alone.", title="Judge first", ge=1)
    judge_steps: int = setting(2, "n, updates of the discriminator in each step.", ge=1)
    denoiser_steps: int = setting(3, "m, updates of the denoiser in each step.", ge=1)
    adversarial: float = setting(1e-3, "Factor of the cross-entropy beside the squared error.", ge=0)
    judge_width: int = setting(32, "Channels of the discriminator's first layer.", ge=4, le=256)
    judge_rate: float = setting(2e-4, "Learning rate of the discriminator.", gt=0)
    label_noise: float = setting(0.05, "Targets are drawn this close to 0 and 1.", ge=0, lt=0.5)


DirectRecipe = Annotated[
    SupervisedRecipe | RestorationGanRecipe | PosteriorGanRecipe | WassersteinRecipe | AutoencoderRecipe,
    Field(discriminator="kind"),
]
ESTIMATING = ("supervised", "restoration-gan", "posterior-gan")
SMALLEST_PATCH = 24  # pixels: a smaller tile has no patch for a critic to score


class DirectTrainConfig(RunConfig):
    """A run that trains a direct denoiser on noisy and clean tiles.

    Tiles of micrographs (intensity template) are exposed to Poisson counts at doses within ``dose``, those of
    photographs (intensity absolute) to ``noise``, those of any micrographs (intensity standard) to ``acquisition``.
    """

    architecture: DirectArchitecture = setting(
        UNetArchitecture(), "The network.", title="Network", group=NETWORK, choices=NETWORKS
    )
    recipe: DirectRecipe = setting(
        SupervisedRecipe(), "The losses, and their factors.", title="Recipe", group=NETWORK, choices=DIRECT_RECIPES
    )
    start: ModelName | None = setting(
        None,
        "Direct denoiser whose weights training begins with: a bundled model, or the path of a file.",
        title="Start from",
        group=NETWORK,
    )
    rate: float = setting(1e-3, "Learning rate of the denoiser.", title="Learning rate", group=NETWORK, gt=0)
    noise: NoiseMixture = setting(
        NoiseMixture(), "Noise of photographs.", group=NETWORK, only={"tiles.intensity": ("absolute",)}
    )
    acquisition: AcquisitionConfig = setting(
        AcquisitionConfig(),
        "How micrographs of any kind are recorded.",
        group=NETWORK,
        only={"tiles.intensity": ("standard",)},
    )
    seconds: float | None = setting(
        None,
        "Seconds that training takes, in place of steps, tiles and validations included; the learning rates fall to "
        "zero when they end.",
        unit="s",
        group=RUN,
        gt=0,
    )
    compiled: bool = setting(
        False,
        "Compile the denoiser for this machine (needs a C compiler): a slow first step, faster ones after.",
        group=NETWORK,
    )

    @property
    def drawn_size(self) -> int:
        """Side of the tiles that are drawn, pixels: what records them may cut off their rims."""
        return self.size + (2 * self.acquisition.cut if self.tiles.intensity == "standard" else 0)

    @property
    def tiles_to_begin(self) -> int:
        """Tiles wanted in the pool before the first step."""
        return 16 * self.batch

    @property
    def stages(self) -> dict[str, int]:
        """Steps of each stage, in order."""
        parts = {"train": self.steps}
        match self.recipe:
            case AutoencoderRecipe() as recipe:
                parts = {"autoencoder": recipe.pretraining, "discriminator": recipe.judge_pretraining, **parts}
            case RestorationGanRecipe() as recipe:
                adversarial = min(self.steps - 1, max(1, round(recipe.share * self.steps)))
                parts = {"train": self.steps - adversarial, "adversarial": adversarial}
        return {**parts, "test": self.held_out}

    @model_validator(mode="after")
    def _goes_together(self) -> DirectTrainConfig:
        if self.tiles.pose == "oriented":
            raise ValueError("Direct denoisers see images as they lie: set tiles.pose to upright.")
        poisson = isinstance(self.recipe, SupervisedRecipe) and self.recipe.loss == "poisson"
        if poisson and self.tiles.intensity != "template":
            raise ValueError("The Poisson loss is for micrographs with the intensity template: set recipe.loss to mse.")
        if "estimated" in self.architecture.conditions and self.recipe.kind not in ESTIMATING:
            raise ValueError(f"conditions: recipes that train an estimate are {' and '.join(ESTIMATING)}.")
        if self.recipe.kind == "restoration-gan" and (self.architecture.size < SMALLEST_PATCH or self.steps < 2):
            raise ValueError(f"restoration-gan needs two steps, and tiles of {SMALLEST_PATCH} pixels at least.")
        if self.recipe.kind == "posterior-gan":
            if self.start is None or self.architecture.kind != "unet":
                raise ValueError("posterior-gan trains a branch beside a U-Net: name that as start.")
            if self.architecture.size < SMALLEST_PATCH:
                raise ValueError(f"posterior-gan needs tiles of {SMALLEST_PATCH} pixels at least.")
        if self.architecture.kind == "unet" and self.architecture.size % self.architecture.multiple:
            raise ValueError(f"architecture.size must be a multiple of {self.architecture.multiple} with these widths.")
        return self


AnyTrainConfig = TrainConfig | DirectTrainConfig


def kind_of_training(
    fields: Mapping[str, Any],
) -> type[TrainConfig] | type[DirectTrainConfig] | type[CifTrainConfig]:
    """Return the config that fields, as from a YAML file, describe: a file of a crystal or the architecture tells."""
    if "cif" in fields:
        return CifTrainConfig
    architecture = fields.get("architecture")
    kind = architecture.get("kind") if isinstance(architecture, Mapping) else None
    return DirectTrainConfig if is_direct(kind) else TrainConfig


def read_training(fields: Mapping[str, Any]) -> AnyTrainConfig | CifTrainConfig:
    """Make the config that fields describe.

    Raises
    ------
    GanDenoiseError
        If a field is unknown or its value not allowed, in one sentence.
    """
    return configure(kind_of_training(fields), None, fields)
