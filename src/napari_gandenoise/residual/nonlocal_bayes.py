"""Similar patches: what repeats in a frame is estimated together.

Each patch of the rate is grouped with its likest neighbours.  Their spread in the rate so far spans what the patch may
look like; within that span the counts are weighed against their Poisson noise (non-local Bayes: Lebrun, Buades, Morel,
"A nonlocal Bayesian image denoising algorithm", SIAM J. Imaging Sci. 6 (2013) 1665).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["similar_patches"]

PATCH = 17  # grid pixels; about 0.4 nm, one to two atom columns
STEP = 5
REACH = 20  # how far the likest patches may be, grid pixels
ALIKE = 60  # patches in a group
BATCH = 256  # groups at once
BLOCK = 256  # grid pixels done together, with a halo; bounds the memory of large frames
HALO = 40  # at least PATCH + REACH
PAUSE = 100  # shifts compared between events


def similar_patches(data: Tensor, rate: Tensor, variance: Tensor) -> Iterator[Tensor]:
    """Estimate a rate again from groups of similar patches, block by block.

    Parameters
    ----------
    data : Tensor
        Counts per exposed input pixel ``(Y, X)``.
    rate : Tensor
        Rate so far, ``(Y, X)``.
    variance : Tensor
        Noise variance of ``data``, ``(Y, X)``.

    Yields
    ------
    Tensor
        ``(Y, X)``, the estimate so far, often enough to cancel; the last is the result.  A frame smaller than a patch
        and its neighbourhood keeps its rate.
    """
    found = rate.clone()
    if min(rate.shape) < PATCH + REACH:
        yield found
        return
    rows, columns = (_blocks(side) for side in rate.shape)
    for top, above, below, bottom in rows:
        for left, before, after, right in columns:
            whole = (slice(top, bottom), slice(left, right))
            for estimate in _block(data[whole], rate[whole], variance[whole]):
                if estimate is not None:
                    found[above:below, before:after] = estimate[above - top : below - top, before - left : after - left]
                yield found


def _blocks(side: int) -> list[tuple[int, int, int, int]]:
    """Cut a side into blocks: where each begins with its halo, without it, ends without it, and with it."""
    count = max(1, round(side / BLOCK))
    cuts = [round(side * i / count) for i in range(count + 1)]
    return [(max(0, a - HALO), a, b, min(side, b + HALO)) for a, b in pairwise(cuts)]


def _block(data: Tensor, rate: Tensor, variance: Tensor) -> Iterator[Tensor | None]:
    """Estimate one block; yields None now and then, and the estimate at last."""
    distances = yield from _distances(rate)
    members = yield from _groups(rate, distances)
    seen = _patches(data)
    yield None
    drawn = _patches(rate)
    yield None
    noise = functional.avg_pool2d(variance[None], PATCH, 1).flatten()
    total, weight = torch.zeros_like(drawn), torch.zeros(len(drawn), 1, device=rate.device)
    for group in members.split(BATCH):
        estimate = _estimate(seen[group], drawn[group], noise[group])
        total.index_add_(0, group.flatten(), estimate.flatten(0, 1))
        weight.index_add_(0, group.flatten(), torch.ones(group.numel(), 1, device=rate.device))
        yield None
    summed = functional.fold(total.T[None], tuple(rate.shape), PATCH)[0, 0]
    yield None
    # Every pixel of a patch has the patch's weight, so their sum over patches is a box filter.
    places = functional.pad(weight.view(1, rate.shape[0] - PATCH + 1, -1), [PATCH - 1] * 4)
    weighed = functional.avg_pool2d(places, PATCH, 1)[0] * PATCH**2
    yield torch.where(weighed > 0.5, summed / weighed.clamp(min=0.5), rate)


def _estimate(seen: Tensor, drawn: Tensor, noise: Tensor) -> Tensor:
    """Posterior mean of groups of patches ``(G, ALIKE, P)`` under the covariance of the rate's own patches."""
    mean = drawn.mean(dim=1, keepdim=True)
    span = drawn - mean
    gram = span @ span.transpose(1, 2)
    ridge = (ALIKE - 1) * noise.mean(dim=1)[:, None, None] * torch.eye(ALIKE, device=drawn.device)
    # The same as (data - mean) (C + noise)^-1 C with the span's covariance C, but 60 x 60 instead of 289 x 289.
    onto = span @ (seen - mean).transpose(1, 2)
    weights: Tensor = torch.linalg.solve(gram + ridge, onto)
    return mean + weights.transpose(1, 2) @ span


def _patches(image: Tensor) -> Tensor:
    """All patches ``(places, PATCH * PATCH)``, row by row."""
    return functional.unfold(image[None, None], PATCH)[0].T.contiguous()


def _moves(device: torch.device) -> Tensor:
    return torch.cartesian_prod(*[torch.arange(-REACH, REACH + 1, device=device)] * 2)


def _coarse(rate: Tensor) -> list[tuple[int, Tensor]]:
    """Places along each side, and the coarse grid of places whose groups are formed."""
    sides = [side - PATCH + 1 for side in rate.shape]
    return [(side, torch.arange(0, side + -(side - 1) % STEP, STEP, device=rate.device)) for side in sides]


def _distances(rate: Tensor) -> Generator[None, None, Tensor]:
    """Distance of each coarse patch to its neighbours ``(moves, rows, columns)``; infinite outside the frame."""
    (height, rows), (width, columns) = _coarse(rate)
    # Replicated at the far edges, so that the coarse grid reaches the last patch.
    more_y, more_x = -(height - 1) % STEP, -(width - 1) % STEP
    around = (REACH, REACH + more_x, REACH, REACH + more_y)
    padded = functional.pad(rate[None, None], around, mode="replicate")[0, 0]
    own = padded[REACH : padded.shape[0] - REACH, REACH : padded.shape[1] - REACH]
    moves = _moves(rate.device)
    distance = torch.empty(len(moves), len(rows), len(columns), device=rate.device)
    for at, (down, right) in enumerate(moves.tolist()):
        other = padded[REACH + down :, REACH + right :][: own.shape[0], : own.shape[1]]
        gap = functional.avg_pool2d((own - other).square()[None], PATCH, STEP)[0]
        outside_y = (rows + down < 0) | (rows + down >= height)
        outside_x = (columns + right < 0) | (columns + right >= width)
        distance[at] = gap.masked_fill(outside_y[:, None] | outside_x, torch.inf)
        if at % PAUSE == 0:
            yield None
    return distance


def _groups(rate: Tensor, distances: Tensor) -> Generator[None, None, Tensor]:
    """Places ``(groups, ALIKE)`` of the patches likest to those on the coarse grid."""
    (_, rows), (width, columns) = _coarse(rate)
    moves = _moves(rate.device)
    likest = []
    for places in distances.flatten(1).T.split(4 * BATCH):
        likest.append(places.topk(ALIKE, largest=False).indices)
        yield None
    start = torch.cartesian_prod(rows, columns)[:, None]
    place = start + moves[torch.cat(likest)]
    return place[..., 0] * width + place[..., 1]
