"""The model file: one ``.safetensors`` with the networks and a JSON header.  Nothing in it is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.models.calibration import Calibration
from napari_gandenoise.models.denoisers import Denoiser, make_denoiser
from napari_gandenoise.models.networks import Discriminator, Encoder, Generator
from napari_gandenoise.models.precision import half_precision
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.models.sharpness import Sharpness, SharpnessHeader
from napari_gandenoise.orientation import tile_mask
from napari_gandenoise.settings.base import Intensity, Pose
from napari_gandenoise.settings.names import FileName
from napari_gandenoise.settings.networks import Architecture, DirectArchitecture, UNetArchitecture, is_direct
from napari_gandenoise.strangers import check_regular
from napari_gandenoise.writing import written_whole

__all__ = [
    "AnyModel",
    "DirectHeader",
    "DirectModel",
    "Model",
    "ModelHeader",
    "load_model_file",
    "save_model",
    "write_model",
]

HEADER = "napari-gandenoise"
FORMAT = 2
FLOATS, INTEGERS = ("F16", "BF16", "F32", "F64"), ("I32", "I64")
STEPS = 127  # largest integer of a weight of eight bits
MOST = 1e6  # of what has no bound of its own: far more than any model says
SCALE = "/scale"  # ends the name of what such weights are multiplied by


class _Header(BaseModel):
    """What every model file says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT, description="Version of this layout.")
    bits: Literal[8, 16] = Field(16, description="Of a stored weight: floating point, or integers with a scale a row.")
    name: FileName = Field(min_length=1, max_length=80)
    description: str = Field("", max_length=2000, description="What the images show.")
    pixel_size_nm: float | None = Field(None, gt=0, lt=1000, description="None for photographs.")
    uncertainty_factor: float = Field(
        1.0, gt=0, le=MOST, description="What errors are, on simulations, relative to the spread of repeated runs."
    )
    training: dict[str, Any] = Field(default_factory=dict, description="The training configuration and step.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Figures measured by the benchmarks.")


class ModelHeader(_Header):
    """What the file of a latent GAN says of itself."""

    architecture: Architecture
    prior: Literal["normal", "uniform"] = Field("normal", description="Latents are N(0, 1), or uniform on [-1, 1].")
    pose: Pose = Field("oriented", description="Disks whose strongest fringe runs along x, or squares as they lie.")
    intensity: Literal["template", "absolute"] = Field(
        "template",
        description="How templates become values: scale * (1 + contrast * template) with scale and contrast of each "
        "tile, or white * (1 + template) / 2 with the white of the image.",
    )
    encoder: bool = False
    discriminator: bool = Field(False, description="Held to restore with; denoising does not use it.")
    template_power: float = Field(0.04, gt=0, le=1, description="Mean square of a template over the square tile.")
    sharpness: SharpnessHeader | None = Field(None, description="Of the sharpness attribute, if there is one.")


class DirectHeader(_Header):
    """What the file of a direct denoiser says of itself."""

    architecture: DirectArchitecture
    intensity: Intensity = Field(
        "template",
        description="The network sees intensity relative to the mean, or black 0 and white 1, or, with the intensity "
        "standard, an image of any units minus its mean and over its scale (`napari_gandenoise.models.standard`).",
    )
    strength: tuple[float, float] = Field(
        (0.0, 1.0), description="Weakest and strongest noise it was trained on, in the unit that it sees."
    )
    samples: Calibration | None = Field(
        None, description="Of a U-Net that draws what an image could be: what its draws are multiplied by."
    )

    @field_validator("strength")
    @classmethod
    def _of_noise(cls, strength: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= noise <= MOST for noise in strength):
            raise ValueError(f"numbers from 0 to {MOST:g}")
        return strength

    @model_validator(mode="after")
    def _can_draw(self) -> DirectHeader:
        if self.samples is not None and self.architecture.kind != "unet":
            raise ValueError("samples: only a U-Net draws what an image could be.")
        return self


HeaderT = TypeVar("HeaderT", ModelHeader, DirectHeader)


@dataclass(frozen=True, eq=False)
class _Model(Generic[HeaderT]):
    header: HeaderT

    @property
    def name(self) -> str:
        """The model's name."""
        return self.header.name

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size of the images it was trained on, nm; None for photographs."""
        return self.header.pixel_size_nm

    @property
    def size(self) -> int:
        """Tile side, pixels."""
        return self.header.architecture.size

    @property
    def channels(self) -> int:
        """Image channels: 1 for grey, 3 for colour."""
        return self.header.architecture.channels


def _read_header(described: str) -> ModelHeader | DirectHeader:
    """Read a header; the kind of its architecture tells which it is."""
    try:
        kind = json.loads(described)["architecture"]["kind"]
    except (ValueError, TypeError, LookupError, RecursionError):
        kind = None  # what is wrong with it, the validation says
    return (DirectHeader if is_direct(kind) else ModelHeader).model_validate_json(described)


@dataclass(frozen=True, eq=False)
class DirectModel(_Model[DirectHeader]):
    """A direct denoiser in evaluation mode with its header, and what draws samples if there is such a branch."""

    network: Denoiser
    sha256: str = ""
    path: Path | None = field(default=None, compare=False)
    sampler: Sampler | None = None

    @property
    def draws(self) -> bool:
        """Whether it draws samples of what an image could be."""
        return self.sampler is not None

    def to(self, device: torch.device) -> DirectModel:
        """Return the model on another device; this one is left where it is."""
        if device.type == "cpu":
            return self
        sampler = None if self.sampler is None else deepcopy(self.sampler).to(device)
        return replace(self, network=deepcopy(self.network).to(device), sampler=sampler)

    @torch.no_grad()
    def clean(self, noisy: Tensor, strength: Tensor, grain: Tensor) -> Tensor:
        """Clean images ``(N, C, H, W)``; parameters as for `Denoiser.forward`."""
        with half_precision(noisy.device):
            cleaned: Tensor = self.network(noisy, strength, grain)
        return cleaned.float()


@dataclass(frozen=True, eq=False)
class Model(_Model[ModelHeader]):
    """Networks in evaluation mode with their header; `sha256` is empty for a model that was never in a file."""

    generator: Generator
    encoder: Encoder | None = None
    discriminator: Discriminator | None = None
    sha256: str = ""
    path: Path | None = field(default=None, compare=False)
    sharpness: Sharpness | None = None

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


AnyModel = Model | DirectModel


def _networks(model: AnyModel) -> dict[str, nn.Module | None]:
    if isinstance(model, DirectModel):
        return {"network": model.network, "sampler": model.sampler}
    return {
        "generator": model.generator,
        "encoder": model.encoder,
        "discriminator": model.discriminator,
        "sharpness": model.sharpness,
    }


def _tensors(model: AnyModel, bits: int) -> dict[str, Tensor]:
    """Return all tensors as they are stored: weights in so many bits, statistics and biases in single precision."""
    stored: dict[str, Tensor] = {}
    for name, network in _networks(model).items():
        for key, value in network.state_dict().items() if network is not None else ():
            if not _is_weight(value):
                stored[f"{name}/{key}"] = value.contiguous()
            elif bits == 16:
                stored[f"{name}/{key}"] = value.half().contiguous()
            else:
                stored |= _in_eight_bits(f"{name}/{key}", value)
    return stored


def _is_weight(value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim > 1


def _in_eight_bits(key: str, weight: Tensor) -> dict[str, Tensor]:
    """Round a weight to integers; each row has the scale that takes its largest to `STEPS`."""
    rows = weight.flatten(1)
    scale = (rows.abs().amax(dim=1) / STEPS).clamp(min=1e-30)  # a row may be empty
    rounded = (rows / scale[:, None]).round().clamp(-STEPS, STEPS).to(torch.int8)
    return {key: rounded.view(weight.shape).contiguous(), key + SCALE: scale.float()}


def _restored(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo `_in_eight_bits` where it was done."""
    tensors = {key: value for key, value in stored.items() if not key.endswith(SCALE)}
    for key, value in tensors.items():
        if key + SCALE in stored:
            scale = stored[key + SCALE]
            tensors[key] = value.float() * scale.view(-1, *[1] * (value.ndim - 1))
    return tensors


def save_model(path: Path, model: AnyModel, bits: Literal[8, 16] | None = None) -> None:
    """Write a model file, whole or not at all, with weights of as many bits, or as many as its header says.

    Raises
    ------
    FloatingPointError
        If a weight is no finite number, or too large for so few bits.
    GanDenoiseError
        If the file cannot be written.
    """
    with written_whole(path, "try again") as temporary:
        write_model(temporary, model, bits)


def write_model(path: Path, model: AnyModel, bits: Literal[8, 16] | None = None) -> None:
    """Write a model file where nobody reads it yet.

    Raises
    ------
    FloatingPointError
        If a weight is no finite number, or too large for so few bits.
    """
    header = model.header.model_copy(update={"bits": bits or model.header.bits})
    tensors = _tensors(model, header.bits)
    for key, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise FloatingPointError(f"the weights {key} are infinite, or too large for half precision")
    save_file(tensors, path, metadata={HEADER: header.model_dump_json()})


def load_model_file(path: Path) -> AnyModel:
    """Read and validate a model file.

    Raises
    ------
    GanDenoiseError
        If the file is missing, truncated, not a model of this project, its tensors do not fit its header, or its
        weights are not finite numbers.
    """
    if not path.exists():
        raise GanDenoiseError(f"There is no model file {path}: check the name, or list models.")
    check_regular(path)
    try:
        header, tensors = _read(path)
        networks = _filled(path, header, tensors)
    except GanDenoiseError:
        raise
    except ValidationError as error:
        detail = GanDenoiseError.from_validation(error)
        raise GanDenoiseError(f"{path.name} has a header that this version cannot use: {detail}") from None
    except Exception as error:  # a damaged or hostile file can make the reader fail in any way
        raise GanDenoiseError(
            f"{path.name} cannot be read as a model ({in_short(error)}): the file may be truncated."
        ) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _assemble(header, networks, digest, path)


FILLING = ("normal_", "uniform_")


class _Unfilled(TorchFunctionMode):
    """Make networks without first weights: for random numbers without memory PyTorch loads its compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Leave out what fills a tensor."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" or getattr(func, "__name__", "") in FILLING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _read(path: Path) -> tuple[ModelHeader | DirectHeader, dict[str, Tensor]]:
    """Read header and tensors of a file, no more than the one describes and the other holds."""
    with safe_open(path, framework="pt") as file:
        described = (file.metadata() or {}).get(HEADER)
        if described is None:
            raise GanDenoiseError(f"{path.name} is not a napari-gandenoise model: choose a file it has saved.")
        header = _read_header(described)
        stored = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        # Without memory first: a header may promise networks of any size.  What they weigh is held against the file's
        # tensors, which are as large as the file.
        with torch.device("meta"), _Unfilled():
            promised = _empty_networks(header)
        _check_tensors(
            path, promised, {k: (v.get_dtype(), tuple(v.get_shape())) for k, v in stored.items()}, header.bits
        )
        return header, {key: file.get_tensor(key) for key in stored}


def _filled(path: Path, header: ModelHeader | DirectHeader, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Make the networks of a model, whose weights are finite once they are unpacked."""
    tensors = _restored(tensors)
    networks = _empty_networks(header)
    for name, network in networks.items():
        network.load_state_dict({k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")})
        for key, value in network.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise GanDenoiseError(
                    f"{path.name} holds NaN or infinite weights ({name}/{key}): train or download it again."
                )
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return networks


def _assemble(header: ModelHeader | DirectHeader, networks: dict[str, Any], digest: str, path: Path) -> AnyModel:
    if isinstance(header, DirectHeader):
        return DirectModel(header, networks["network"], digest, path, networks.get("sampler"))
    generator, encoder, judge = networks["generator"], networks.get("encoder"), networks.get("discriminator")
    return Model(header, generator, encoder, judge, digest, path, networks.get("sharpness"))


def _empty_networks(header: ModelHeader | DirectHeader) -> dict[str, nn.Module]:
    if isinstance(header, DirectHeader):
        direct: dict[str, nn.Module] = {"network": make_denoiser(header.architecture)}
        if header.samples is not None and isinstance(header.architecture, UNetArchitecture):
            direct["sampler"] = Sampler(header.architecture)
        return direct
    networks: dict[str, nn.Module] = {"generator": Generator(header.architecture)}
    if header.encoder:
        networks["encoder"] = Encoder(header.architecture)
    if header.discriminator:
        # As it was trained: only the recipe bce has batch norm in it.
        networks["discriminator"] = Discriminator(header.architecture, norm=header.training.get("recipe") == "bce")
    if header.sharpness is not None:
        networks["sharpness"] = Sharpness(header.sharpness.levels, header.architecture.latent)
    return networks


def _check_tensors(
    path: Path, networks: dict[str, nn.Module], stored: dict[str, tuple[str, tuple[int, ...]]], bits: int
) -> None:
    """Compare the file's tensors with what the header promises, before any of them is loaded."""
    promised: dict[str, tuple[Collection[str], tuple[int, ...]]] = {}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            small = bits == 8 and _is_weight(value)
            kinds = ("I8",) if small else FLOATS if value.is_floating_point() else INTEGERS
            promised[f"{name}/{key}"] = kinds, tuple(value.shape)
            if small:
                promised[f"{name}/{key}{SCALE}"] = FLOATS, (len(value),)
    wrong = sorted(promised.keys() ^ stored.keys()) or [k for k in promised if promised[k][1] != stored[k][1]]
    if wrong:
        raise GanDenoiseError(
            f"{path.name} does not hold the networks that its header describes ({in_short(wrong[0])}): the file is "
            "damaged."
        )
    for key, (allowed, _) in promised.items():
        if stored[key][0] not in allowed:
            raise GanDenoiseError(
                f"{path.name} holds {key} as numbers of type {stored[key][0]}, not {' or '.join(allowed)}: the file "
                "is damaged."
            )
