"""Similar patches: what repeats in a frame is estimated together.

Each patch of the rate is grouped with its likest neighbours.  Their spread in the rate so far spans what the patch may
look like; within that span the counts are weighed against their Poisson noise (non-local Bayes: Lebrun, Buades, Morel,
"A nonlocal Bayesian image denoising algorithm", SIAM J. Imaging Sci. 6 (2013) 1665).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Patches", "similar_patches"]

ALIKE = 60  # patches in a group
BATCH = 256  # groups at once
BLOCK = 512  # grid pixels done together, with a halo; bounds the memory of large frames
HALO = 40  # at least side and reach of the patches
LARGEST = 1e15  # electrons per pixel
PAUSE = 100  # shifts compared between events


@dataclass(frozen=True)
class Patches:
    """Which patches are compared.

    Attributes
    ----------
    side : int
        Grid pixels along a side.
    reach : int
        How far the likest patches may be, grid pixels.
    step : int
        Pixels between the patches that groups are formed around; a multiple of ``every``.
    every : int
        Patches are compared in every so-manieth pixel.
    """

    side: int
    reach: int
    step: int
    every: int = 1


def similar_patches(data: Tensor, rate: Tensor, variance: Tensor, patches: Patches) -> Iterator[Tensor]:
    """Estimate a rate again from groups of similar patches, block by block; of colours, all at once.

    Parameters
    ----------
    data : Tensor
        Counts per exposed input pixel ``(C, Y, X)``.
    rate : Tensor
        Rate so far, ``(C, Y, X)``.
    variance : Tensor
        Noise variance of ``data``, ``(C, Y, X)``.
    patches : Patches
        Which.

    Yields
    ------
    Tensor
        ``(C, Y, X)``, the estimate so far, often enough to cancel; the last is the result.  A frame smaller than a
        patch and its neighbourhood keeps its rate.
    """
    found = rate.clone()
    if min(rate.shape[1:]) < patches.side + patches.reach:
        yield found
        return
    rows, columns = (_blocks(side) for side in rate.shape[1:])
    for top, above, below, bottom in rows:
        for left, before, after, right in columns:
            whole = (slice(None), slice(top, bottom), slice(left, right))
            inner = (slice(None), slice(above - top, below - top), slice(before - left, after - left))
            for estimate in _block(data[whole], rate[whole], variance[whole], patches):
                if estimate is not None:
                    found[:, above:below, before:after] = estimate[inner]
                yield found


def _blocks(side: int) -> list[tuple[int, int, int, int]]:
    """Cut a side into blocks: where each begins with its halo, without it, ends without it, and with it."""
    count = max(1, round(side / BLOCK))
    cuts = [round(side * i / count) for i in range(count + 1)]
    return [(max(0, a - HALO), a, b, min(side, b + HALO)) for a, b in pairwise(cuts)]


def _block(data: Tensor, rate: Tensor, variance: Tensor, patches: Patches) -> Iterator[Tensor | None]:
    """Estimate one block; yields None now and then, and the estimate at last."""
    coarse, side = _Coarse.of(rate, patches), patches.side
    largest = float(rate.abs().max())
    # The square of a very large rate is beyond single precision.
    distances = yield from _distances(rate / largest if largest > LARGEST else rate, coarse, patches)
    places = yield from _groups(coarse, distances, rate.shape[2])
    noise = functional.avg_pool2d(variance.mean(dim=0, keepdim=True), side, 1)[0]
    seen, drawn, strength = data.flatten(1), rate.flatten(1), functional.pad(noise, (0, side - 1)).flatten()
    inside = _within(rate, side)
    total, weight = torch.zeros_like(drawn), torch.zeros_like(drawn[0])
    for group in places.split(BATCH):
        pixels = group[..., None] + inside
        estimate = _estimate(_together(seen[:, pixels]), _together(drawn[:, pixels]), strength[group])
        estimates = estimate.unflatten(2, (len(rate), -1)).movedim(2, 0)
        total.index_add_(1, pixels.flatten(), estimates.flatten(1))
        weight.index_add_(0, group.flatten(), torch.ones_like(strength[group]).flatten())
        yield None
    # Every pixel of a patch has the patch's weight, so their sum over patches is a box filter.
    around = functional.pad(weight.view(1, *rate.shape[1:]), (side - 1, 0, side - 1, 0))
    weighed = functional.avg_pool2d(around, side, 1)[0] * side**2
    yield torch.where(weighed > 0.5, total.view(rate.shape) / weighed.clamp(min=0.5), rate)


def _together(patches: Tensor) -> Tensor:
    """Put the colours of patches ``(C, G, ALIKE, P)`` beside each other: ``(G, ALIKE, C · P)``."""
    return patches.movedim(0, 2).flatten(2)


def _estimate(seen: Tensor, drawn: Tensor, noise: Tensor) -> Tensor:
    """Posterior mean of groups of patches ``(G, ALIKE, P)`` under the covariance of the rate's own patches."""
    mean = drawn.mean(dim=1, keepdim=True)
    span = drawn - mean
    gram = span @ span.transpose(1, 2)
    ridge = (ALIKE - 1) * noise.mean(dim=1).clamp(min=1e-12)[:, None, None] * torch.eye(ALIKE, device=drawn.device)
    # The same as (data - mean) (C + noise)^-1 C with the span's covariance C, but 60 x 60 instead of pixels by pixels.
    onto = span @ (seen - mean).transpose(1, 2)
    # In double precision: at a high dose the ridge is small beside the Gram matrix, which has not its full rank.
    factor, failed = torch.linalg.cholesky_ex((gram + ridge).double())
    weights = torch.cholesky_inverse(factor).to(onto) @ onto
    # Where there is hardly any noise rounding may leave no inverse, and nothing to correct.
    return torch.where(failed[:, None, None] > 0, drawn, mean + weights.transpose(1, 2) @ span)


def _within(image: Tensor, side: int) -> Tensor:
    """Where the pixels of a patch lie from its first one, in an image that is read row by row, ``(side * side,)``."""
    axis = torch.arange(side, device=image.device)
    return (axis[:, None] * image.shape[2] + axis).flatten()


class _Coarse:
    """The patches that groups are formed around, and the shifts to those that they are compared with.

    Attributes
    ----------
    rows, columns : Tensor
        First rows and columns of the patches; the last of them may lie beyond the frame.
    height, width : int
        Places that a patch of the frame may have along each side.
    moves : Tensor
        ``(M, 2)``.
    step : int
        From patch to patch.
    """

    def __init__(self, rows: Tensor, columns: Tensor, height: int, width: int, moves: Tensor, step: int) -> None:
        self.rows, self.columns, self.height, self.width = rows, columns, height, width
        self.moves, self.step = moves, step

    @classmethod
    def of(cls, rate: Tensor, patches: Patches) -> _Coarse:
        """Cover a frame."""
        height, width = (side - patches.side + 1 for side in rate.shape[1:])
        step, reach = patches.step, patches.reach
        rows, columns = (
            torch.arange(0, side + -(side - 1) % step, step, device=rate.device) for side in (height, width)
        )
        moves = torch.cartesian_prod(*[torch.arange(-reach, reach + 1, device=rate.device)] * 2)
        return cls(rows, columns, height, width, moves, step)


def _distances(rate: Tensor, coarse: _Coarse, patches: Patches) -> Generator[None, None, Tensor]:
    """Distance of each coarse patch to its neighbours ``(moves, rows, columns)``; infinite outside the frame."""
    reach, every = patches.reach, patches.every
    kernel, stride = -(-patches.side // every), coarse.step // every
    tall, wide = (coarse.step * (len(axis) - 1) + every * kernel for axis in (coarse.rows, coarse.columns))
    # Replicated at the far edges, so that the coarse grid reaches the last patch.
    more_y, more_x = max(0, tall - rate.shape[1]), max(0, wide - rate.shape[2])
    padded = functional.pad(rate[None], (reach, reach + more_x, reach, reach + more_y), mode="replicate")[0]
    own = padded[:, reach : reach + tall : every, reach : reach + wide : every].contiguous()
    distance = torch.empty(len(coarse.moves), len(coarse.rows), len(coarse.columns), device=rate.device)
    for at, (down, right) in enumerate(coarse.moves.tolist()):
        top, left = reach + down, reach + right
        gap = (own - padded[:, top : top + tall : every, left : left + wide : every]).square()
        outside_y = (coarse.rows + down < 0) | (coarse.rows + down >= coarse.height)
        outside_x = (coarse.columns + right < 0) | (coarse.columns + right >= coarse.width)
        distance[at] = functional.avg_pool2d(gap.sum(dim=0, keepdim=True), kernel, stride)[0]
        distance[at].masked_fill_(outside_y[:, None] | outside_x, torch.inf)
        if at % PAUSE == 0:
            yield None
    return distance


def _groups(coarse: _Coarse, distances: Tensor, width: int) -> Generator[None, None, Tensor]:
    """Return for each coarse patch the first pixels ``(groups, ALIKE)`` of the likest ones, in a frame of a width."""
    likest = []
    for places in distances.flatten(1).T.split(4 * BATCH):
        likest.append(places.topk(ALIKE, largest=False).indices)
        yield None
    place = torch.cartesian_prod(coarse.rows, coarse.columns)[:, None] + coarse.moves[torch.cat(likest)]
    return place[..., 0] * width + place[..., 1]
