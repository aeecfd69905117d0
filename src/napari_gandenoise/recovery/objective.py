"""The squared error, which asks for no noise level: what the literature on latent recovery minimises."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from napari_gandenoise.inversion.objective import PIXELS, Objective, mean_rate
from napari_gandenoise.settings.recover import ObjectiveName

__all__ = ["KINDS", "SquaredError"]


@dataclass(frozen=True)
class SquaredError(Objective):
    """What is to be minimised over the latents of a batch of tiles: a squared error."""

    def __call__(self, latents: Tensor) -> Tensor:
        """Return the squared error of latents ``(N, d)``; there is no prior, since nothing says what it weighs."""
        return self.squared_error(self.rate(latents))

    def squared_error(self, rate: Tensor) -> Tensor:
        """Return the squared error ``‖λ − y‖²`` of a rate in units of a flat tile's, ``(N,)``.

        It is a sum over the tile's input pixels.  A flat tile scores half the number of its values, as it does in nats
        where its variance is all noise.  The unit of each tile is its own, so that no noise level is needed, and
        changes nothing about where the minimum is.
        """
        exposure, counts = self.tiles.exposure, self.tiles.counts
        seen = exposure.clamp(min=1e-9)
        # Input pixels of a bin differ among themselves too, by the same whatever the rate.
        misfit = ((counts - exposure * rate).square() / seen).sum(dim=PIXELS)
        flat = ((counts - exposure * mean_rate(self.tiles)).square() / seen).sum(dim=PIXELS)
        values = (exposure > 0).expand_as(counts).sum(dim=PIXELS)
        return 0.5 * values * misfit / flat.clamp(min=1e-12)


KINDS: dict[ObjectiveName, type[Objective]] = {"likelihood": Objective, "squared": SquaredError}
