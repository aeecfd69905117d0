"""The model file: one ``.safetensors`` with the networks and a JSON header.  Nothing in it is ever unpickled."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.networks import Architecture, Discriminator, Encoder, Generator
from napari_gandenoise.models.precision import half_precision
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader
from napari_gandenoise.orientation import Pose, tile_mask

__all__ = ["Model", "ModelHeader", "load_model_file", "save_model"]

HEADER = "napari-gandenoise"
FORMAT = 2


class ModelHeader(BaseModel):
    """What a model file says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT, description="Version of this layout.")
    name: str = Field(min_length=1, max_length=80)
    description: str = Field("", max_length=2000, description="What the images show.")
    architecture: Architecture
    prior: Literal["normal", "uniform"] = Field("normal", description="Latents are N(0, 1), or uniform on [-1, 1].")
    pose: Pose = Field("oriented", description="Disks whose strongest fringe runs along x, or squares as they lie.")
    intensity: Literal["template", "absolute"] = Field(
        "template",
        description="How templates become values: scale * (1 + contrast * template) with scale and contrast of each "
        "tile, or white * (1 + template) / 2 with the white of the image.",
    )
    pixel_size_nm: float | None = Field(None, gt=0, lt=1000, description="None for photographs.")
    encoder: bool = False
    discriminator: bool = Field(False, description="Held to restore with; denoising does not use it.")
    template_power: float = Field(0.04, gt=0, le=1, description="Mean square of a template over the square tile.")
    uncertainty_factor: float = Field(
        1.0, gt=0, description="What errors are, on simulations, relative to the spread of repeated runs."
    )
    sharpness: SharpnessHeader | None = Field(None, description="Of the sharpness attribute, if there is one.")
    training: dict[str, Any] = Field(default_factory=dict, description="The training configuration and step.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Figures measured by the benchmarks.")


@dataclass(frozen=True, eq=False)
class Model:
    """Networks in evaluation mode with their header; `sha256` is empty for a model that was never in a file."""

    header: ModelHeader
    generator: Generator
    encoder: Encoder | None = None
    discriminator: Discriminator | None = None
    sha256: str = ""
    path: Path | None = field(default=None, compare=False)
    sharpness: Sharpness | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.header.name

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size of the templates, nm; None for photographs."""
        return self.header.pixel_size_nm

    @property
    def size(self) -> int:
        """Template side, pixels."""
        return self.header.architecture.size

    @property
    def channels(self) -> int:
        """Image channels: 1 for grey, 3 for colour."""
        return self.header.architecture.channels

    @property
    def latent(self) -> int:
        """Length of the latent vector."""
        return self.header.architecture.latent

    def to(self, device: torch.device) -> Model:
        """Return the model on another device; this one is left where it is."""
        if device.type == "cpu":
            return self
        encoder = deepcopy(self.encoder).to(device) if self.encoder is not None else None
        judge = deepcopy(self.discriminator).to(device) if self.discriminator is not None else None
        sharpness = deepcopy(self.sharpness).to(device) if self.sharpness is not None else None
        generator = deepcopy(self.generator).to(device)
        return replace(self, generator=generator, encoder=encoder, discriminator=judge, sharpness=sharpness)

    @property
    def template_power(self) -> float:
        """Mean square of a template over the whole square tile."""
        return self.header.template_power

    def draw_latents(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw latents ``(*shape, d)`` from the prior, on the CPU."""
        if self.header.prior == "uniform":
            return 2 * torch.rand(*shape, self.latent, generator=generator) - 1
        return torch.randn(*shape, self.latent, generator=generator)

    def prior_cost(self, latents: Tensor) -> Tensor:
        """Negative log prior of latents ``(N, d)`` up to a constant, nats; none within the uniform prior's bounds."""
        if self.header.prior == "uniform":
            return latents.new_zeros(len(latents))
        return 0.5 * latents.square().sum(dim=1)

    def within_prior(self, latents: Tensor) -> Tensor:
        """Latents, those beyond the bounds of a uniform prior put onto them (projected gradient)."""
        return latents.clamp(-1, 1) if self.header.prior == "uniform" else latents

    def render(self, latents: Tensor) -> Tensor:
        """Templates ``(N, C, H, W)`` of latents ``(N, d)``; those with a pose are zero outside the disk."""
        with half_precision(latents.device):
            template: Tensor = self.generator(latents)
        return template.float() * tile_mask(self.header.pose, self.size, latents.device)


def _tensors(model: Model) -> dict[str, Tensor]:
    """Return all tensors; matrices and kernels in half precision, statistics and biases in single."""
    networks: dict[str, nn.Module | None] = {
        "generator": model.generator,
        "encoder": model.encoder,
        "discriminator": model.discriminator,
        "sharpness": model.sharpness,
    }
    return {
        f"{name}/{key}": (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, network in networks.items()
        if network is not None
        for key, value in network.state_dict().items()
    }


def save_model(path: Path, model: Model) -> None:
    """Write a model file atomically."""
    temporary = path.with_suffix(".partial")
    save_file(_tensors(model), temporary, metadata={HEADER: model.header.model_dump_json()})
    temporary.replace(path)


def load_model_file(path: Path) -> Model:
    """Read and validate a model file.

    Raises
    ------
    GanDenoiseError
        If the file is missing, truncated, not a model of this project, or its tensors do not fit its header.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = (file.metadata() or {}).get(HEADER)
            if described is None:
                raise GanDenoiseError(f"{path.name} is not a napari-gandenoise model: choose a file it has saved.")
            header = ModelHeader.model_validate_json(described)
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            # Without memory first: a header may promise networks of any size.
            with torch.device("meta"):
                promised = _empty_networks(header)
            _check_shapes(path, promised, shapes)
            tensors = {key: file.get_tensor(key) for key in shapes}
    except FileNotFoundError:
        raise GanDenoiseError(f"There is no model file {path}: check the name, or list models.") from None
    except (SafetensorError, OSError) as error:
        raise GanDenoiseError(f"{path.name} cannot be read as a model ({error}): the file may be truncated.") from None
    except ValidationError as error:
        detail = GanDenoiseError.from_validation(error)
        raise GanDenoiseError(f"{path.name} has a header that this version cannot use: {detail}") from None
    for key, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise GanDenoiseError(f"{path.name} holds NaN or infinite weights ({key}): train or download it again.")
    networks = _empty_networks(header)
    for name, network in networks.items():
        network.load_state_dict({k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")})
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    generator, encoder, judge = (networks.get(name) for name in ("generator", "encoder", "discriminator"))
    assert isinstance(generator, Generator)
    assert encoder is None or isinstance(encoder, Encoder)
    assert judge is None or isinstance(judge, Discriminator)
    sharpness = networks.get("sharpness")
    assert sharpness is None or isinstance(sharpness, Sharpness)
    return Model(header, generator, encoder, judge, digest, path, sharpness)


def _empty_networks(header: ModelHeader) -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {"generator": Generator(header.architecture)}
    if header.encoder:
        networks["encoder"] = Encoder(header.architecture)
    if header.discriminator:
        # As it was trained: only the recipe bce has batch norm in it.
        networks["discriminator"] = Discriminator(header.architecture, norm=header.training.get("recipe") == "bce")
    if header.sharpness is not None:
        networks["sharpness"] = Sharpness(header.sharpness.levels, header.architecture.latent)
    return networks


def _check_shapes(path: Path, networks: dict[str, nn.Module], shapes: dict[str, tuple[int, ...]]) -> None:
    """Compare the file's tensors with what the header promises, before any of them is loaded."""
    promised = {
        f"{name}/{key}": tuple(value.shape) for name, net in networks.items() for key, value in net.state_dict().items()
    }
    if promised != shapes:
        wrong = sorted(promised.keys() ^ shapes.keys()) or [k for k in promised if promised[k] != shapes[k]]
        raise GanDenoiseError(
            f"{path.name} does not hold the networks that its header describes ({wrong[0]}): the file is damaged."
        )
