"""The sharpness attribute: by how much, on average, latents that were recovered from noise miss the true ones.

Tripathi, Lipton, Nguyen 2018, "Correction by projection: denoising images with generative adversarial networks"
(arXiv 1803.04477).  Noise biases the recovery towards dull images, in much the same direction for all of them; to add
the mean difference is to take the bias back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from napari_gandenoise.settings.recover import check_levels

__all__ = ["Sharpness", "SharpnessHeader"]


class SharpnessHeader(BaseModel):
    """What a model file says of its sharpness attribute."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    levels: tuple[float, ...] = Field(
        min_length=1,
        max_length=64,
        description="Noise of a model pixel over the range of the templates, from black to white; rising.",
    )
    images: int = Field(ge=1, description="Generated images of which it is the mean.")
    settings: dict[str, Any] = Field(default_factory=dict, description="How their latents were recovered.")

    _levels = field_validator("levels")(check_levels)


class Sharpness(nn.Module):
    """Mean difference between true and recovered latents at several noise levels.

    Parameters
    ----------
    levels : sequence of float
        ``K`` noise levels, rising: standard deviation of a model pixel's noise over the range of the templates.
    latent : int
        Length ``d`` of the latents.

    Attributes
    ----------
    shifts : Tensor
        ``(K, d)``, true minus recovered.
    """

    shifts: Tensor
    levels: Tensor

    def __init__(self, levels: Sequence[float], latent: int) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("shifts", torch.zeros(len(levels), latent))

    def forward(self, level: Tensor) -> Tensor:
        """Difference to add to latents that were recovered at noise levels ``(N,)``: ``(N, d)``.

        Linear between levels.  Without noise there is nothing to add; beyond the highest level its own stands.
        """
        known = torch.cat([self.levels.new_zeros(1), self.levels])
        shifts = torch.cat([self.shifts.new_zeros(1, self.shifts.shape[1]), self.shifts])
        level = level.clamp(0, float(known[-1]))
        above = torch.searchsorted(known, level).clamp(1, len(known) - 1)
        share = ((level - known[above - 1]) / (known[above] - known[above - 1]))[:, None]
        return torch.lerp(shifts[above - 1], shifts[above], share)
