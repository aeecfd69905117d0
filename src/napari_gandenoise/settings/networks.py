"""What networks look like: part of a training run's settings, and of every model file."""

from __future__ import annotations

from math import log2
from typing import Annotated, ClassVar, Literal, TypeVar, get_args

from pydantic import Field, field_validator, model_validator

from napari_gandenoise.settings.base import Settings, setting

__all__ = [
    "DIRECT_KINDS",
    "Architecture",
    "AutoencoderArchitecture",
    "Condition",
    "DirectArchitecture",
    "EncoderDecoderArchitecture",
    "UNetArchitecture",
    "is_direct",
]

Told = Literal["strength", "grain"]
Condition = Literal["strength", "grain", "estimated"]
SIZES = {side: f"{side}×{side}" for side in (16, 32, 64, 128, 256)}
NETWORK = "Network"
MOST_CHANNELS = 2048
LARGEST_WINDOW = 512  # pixels, of the side of the largest tile
ChannelsT = TypeVar("ChannelsT", bound=tuple[int, ...])
CONDITIONS = "What the network is told of the noise: its strength, its grain size, or nothing."


class Architecture(Settings):
    """The networks of a latent GAN."""

    kind: Literal["dcgan"] = "dcgan"
    size: int = setting(64, "Tile side, pixels; a power of two.", title="Tile", choices=SIZES, ge=16, le=256)
    channels: int = setting(1, "Image channels.", field="hidden", ge=1, le=4)
    latent: int = setting(100, "Length of the latent vector.", ge=1, le=1024)
    width: int = setting(
        32, "Channels of the finest layer; each coarser one doubles them.", group=NETWORK, ge=4, le=256
    )
    principal: bool = setting(
        False,
        "Add a linear path from the latent, initialised by principal components of the data.",
        title="Principal path",
        group=NETWORK,
    )

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            raise ValueError(f"size must be a power of two, got {size}.")
        return size

    @property
    def widths(self) -> list[int]:
        """Channels from the 4x4 layer to the finest hidden one."""
        return [self.width * 2**i for i in reversed(range(int(log2(self.size)) - 2))]


class _Direct(Settings):
    """What the networks of direct denoisers have in common."""

    title: ClassVar[str]  # what forms and cards call it
    channels: int = setting(1, "Image channels.", field="hidden", ge=1, le=4)
    conditions: tuple[Told, ...] = setting((), CONDITIONS)


def _few(channels: ChannelsT) -> ChannelsT:
    """Return numbers of channels that a network can have."""
    if not all(1 <= width <= MOST_CHANNELS for width in channels):
        raise ValueError(f"numbers of channels from 1 to {MOST_CHANNELS}, got {channels}.")
    return channels


class UNetArchitecture(_Direct):
    """A U-Net on 2x2 folded images."""

    title = "U-Net"
    kind: Literal["unet"] = "unet"
    size: int = setting(
        128, "Side of the training tiles, pixels.", title="Tile", unit="px", ge=16, le=512, multiple_of=8
    )
    widths: tuple[int, ...] = setting(
        (40, 80, 120), "Channels of each level, the finest first.", min_length=2, max_length=6
    )
    block: Literal["residual", "gated"] = setting(
        "residual", "Two 3x3 convolutions, or the gated block, which does more with as many weights."
    )
    depth: int = setting(1, "Blocks of each level on the way down, and as many on the way up.", ge=1, le=8)
    windows: tuple[int, ...] = setting(
        (),
        "Sides of the windows of a Fourier shrinkage that the network starts from, the largest first; it has to be "
        "told the strength.",
        max_length=4,
    )
    # mypy: what a U-Net may be told is more than what others may.
    conditions: tuple[Condition, ...] = setting(  # type: ignore[assignment]
        ("strength",),
        "What the network is told of the noise: its strength, its grain size, the strength that a small network of its "
        "own estimates at each place, or nothing.",
    )
    estimator: int = setting(
        24, "Channels of the network that estimates the strength, if there is one.", ge=4, le=256, multiple_of=2
    )

    @field_validator("widths")
    @classmethod
    def _of_channels(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        return _few(widths)

    @model_validator(mode="after")
    def _goes_together(self) -> UNetArchitecture:
        if "estimated" in self.conditions and "strength" in self.conditions:
            raise ValueError("conditions: a strength is given or estimated, so take one of the two.")
        if self.windows and "strength" not in self.conditions:
            raise ValueError("windows need to know the noise: add strength to conditions, or leave windows out.")
        if any(side % 2 or not 4 <= side <= LARGEST_WINDOW for side in self.windows):
            raise ValueError(f"windows: even numbers from 4 to {LARGEST_WINDOW}, got {self.windows}.")
        return self

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return int(2 ** len(self.widths))


class EncoderDecoderArchitecture(_Direct):
    """The twelve blocks of Gong, Liu and Lv."""

    title = "Encoder-decoder"
    kind: Literal["encoder-decoder"] = "encoder-decoder"
    size: int = setting(
        64, "Side of the training tiles, pixels.", title="Tile", unit="px", ge=16, le=512, multiple_of=4
    )
    width: int = setting(32, "K, channels of the blocks.", ge=4, le=256, multiple_of=2)

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return 4


class AutoencoderArchitecture(_Direct):
    """An over-complete autoencoder of chunks of one size."""

    title = "Autoencoder"
    kind: Literal["autoencoder"] = "autoencoder"
    size: int = setting(32, "Side of a chunk, pixels.", title="Tile", unit="px", ge=16, le=64, multiple_of=8)
    filters: tuple[int, int, int] = setting((256, 128, 64), "Channels of the encoder's convolutions.")
    latent: int = setting(3500, "Length of the code.", ge=1, le=20_000)

    @field_validator("filters")
    @classmethod
    def _of_channels(cls, filters: tuple[int, int, int]) -> tuple[int, int, int]:
        return _few(filters)

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return self.size


DirectArchitecture = Annotated[
    UNetArchitecture | EncoderDecoderArchitecture | AutoencoderArchitecture, Field(discriminator="kind")
]

_MEMBERS: tuple[type[_Direct], ...] = get_args(get_args(DirectArchitecture)[0])
DIRECT_KINDS = {each.model_fields["kind"].default: each for each in _MEMBERS}


def is_direct(kind: object) -> bool:
    """Whether that is the kind of a direct denoiser's architecture; a stranger's file may hold anything there."""
    return isinstance(kind, str) and kind in DIRECT_KINDS
