"""Search: for each tile a few orientations, for each orientation a few latents, the likeliest first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_gandenoise.inversion.bank import Bank
from napari_gandenoise.inversion.objective import Objective, standardise_tiles
from napari_gandenoise.orientation import disk, fringe_angles
from napari_gandenoise.tiling import Frame, Latents, Tiles, bin_tiles

__all__ = ["Candidates", "find_angles", "propose"]


@dataclass(frozen=True)
class Candidates:
    """Starting points, ``N`` tiles with ``K`` each, best first.

    Attributes
    ----------
    latents, spread : Tensor
        ``(N, K, d)``; the spread is the scale on which each latent is uncertain.
    angles : Tensor
        ``(N, K)``, radians.
    values : Tensor
        ``(N, K)``, negative log posterior, nats.
    """

    latents: Tensor
    spread: Tensor
    angles: Tensor
    values: Tensor

    def keep(self, count: int) -> Candidates:
        """Return the best few."""
        order = self.values.argsort(dim=1, stable=True)[:, :count]
        pick = order[:, :, None].expand(-1, -1, self.latents.shape[2])
        return Candidates(
            self.latents.gather(1, pick),
            self.spread.gather(1, pick),
            self.angles.gather(1, order),
            self.values.gather(1, order),
        )

    def best(self) -> Latents:
        """Return the best of each tile."""
        first = self.keep(1)
        return Latents(first.latents[:, 0], first.spread[:, 0], first.angles[:, 0])

    def merge(self, other: Candidates) -> Candidates:
        """Put two sets for the same tiles together."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("latents", "spread", "angles", "values"))
        return Candidates(*(torch.cat(pair, dim=1) for pair in pairs))


def find_angles(frame: Frame, tiles: Tiles, part: Tensor, count: int) -> Tensor:
    """Orientations ``(N, count)`` of tiles from the strongest fringes in their spectra; upright tiles have none."""
    if tiles.pose == "upright":
        return torch.zeros(len(part), 1, device=frame.counts.device)
    upright = bin_tiles(frame, tiles, part, torch.zeros(len(part), device=frame.counts.device))
    noisy = standardise_tiles(upright, frame.read_variance)[:, 0] * disk(tiles.size, frame.counts.device)
    return fringe_angles(noisy, count)


@torch.no_grad()
def propose(
    objective: Objective, bank: Bank | None, angles: Tensor, random: Tensor | None = None, *, encode: bool = True
) -> Candidates:
    """Latents for tiles that are binned at given orientations.

    Parameters
    ----------
    objective : Objective
        ``N`` tiles, binned at ``angles``.
    bank : Bank, optional
        Proposes its best match.
    angles : Tensor
        ``(N,)``.
    random : Tensor, optional
        Prior samples ``(N, R, d)`` to try as well: the study's random search.
    encode : bool
        Let the model's encoder, if it has one, propose a latent a tile.
    """
    proposal = objective.encode() if encode else None
    latents, spreads = [], []
    if proposal is not None:
        latents.append(proposal[0])
        spreads.append(proposal[1])
    if bank is not None:
        latents.append(bank.latents[bank.best(objective.standardised())])
    if random is not None:
        latents += random.unbind(1)
    default = spreads[0] if spreads else torch.ones_like(latents[0])
    return Candidates(
        torch.stack(latents, 1),
        torch.stack([default] * len(latents), 1),
        angles[:, None].expand(-1, len(latents)),
        torch.stack([objective(z) for z in latents], 1),
    )
