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
REACH = 20  # how far the likest patches may be, grid pixels
ALIKE = 60  # patches in a group
BATCH = 256  # groups at once
BLOCK = 256  # grid pixels done together, with a halo; bounds the memory of large frames
HALO = 40  # at least PATCH + REACH
LARGEST = 1e15  # electrons per pixel
PAUSE = 100  # shifts compared between events


def similar_patches(data: Tensor, rate: Tensor, variance: Tensor, step: int, every: int) -> Iterator[Tensor]:
    """Estimate a rate again from groups of similar patches, block by block.

    Parameters
    ----------
    data : Tensor
        Counts per exposed input pixel ``(Y, X)``.
    rate : Tensor
        Rate so far, ``(Y, X)``.
    variance : Tensor
        Noise variance of ``data``, ``(Y, X)``.
    step : int
        Pixels between the patches that groups are formed around; a multiple of ``every``.
    every : int
        Patches are compared in every so-manieth pixel.

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
            for estimate in _block(data[whole], rate[whole], variance[whole], step, every):
                if estimate is not None:
                    found[above:below, before:after] = estimate[above - top : below - top, before - left : after - left]
                yield found


def _blocks(side: int) -> list[tuple[int, int, int, int]]:
    """Cut a side into blocks: where each begins with its halo, without it, ends without it, and with it."""
    count = max(1, round(side / BLOCK))
    cuts = [round(side * i / count) for i in range(count + 1)]
    return [(max(0, a - HALO), a, b, min(side, b + HALO)) for a, b in pairwise(cuts)]


def _block(data: Tensor, rate: Tensor, variance: Tensor, step: int, every: int) -> Iterator[Tensor | None]:
    """Estimate one block; yields None now and then, and the estimate at last."""
    coarse = _Coarse.of(rate, step)
    largest = float(rate.abs().max())
    # The square of a very large rate is beyond single precision.
    distances = yield from _distances(rate / largest if largest > LARGEST else rate, coarse, every)
    places = yield from _groups(coarse, distances, rate.shape[1])
    noise = functional.avg_pool2d(variance[None], PATCH, 1)[0]
    seen, drawn, strength = data.flatten(), rate.flatten(), functional.pad(noise, (0, PATCH - 1)).flatten()
    inside = _within(rate)
    total, weight = torch.zeros_like(drawn), torch.zeros_like(drawn)
    for group in places.split(BATCH):
        pixels = group[..., None] + inside
        estimate = _estimate(seen[pixels], drawn[pixels], strength[group])
        total.index_add_(0, pixels.flatten(), estimate.flatten())
        weight.index_add_(0, group.flatten(), torch.ones_like(strength[group]).flatten())
        yield None
    # Every pixel of a patch has the patch's weight, so their sum over patches is a box filter.
    around = functional.pad(weight.view(1, *rate.shape), (PATCH - 1, 0, PATCH - 1, 0))
    weighed = functional.avg_pool2d(around, PATCH, 1)[0] * PATCH**2
    yield torch.where(weighed > 0.5, total.view(rate.shape) / weighed.clamp(min=0.5), rate)


def _estimate(seen: Tensor, drawn: Tensor, noise: Tensor) -> Tensor:
    """Posterior mean of groups of patches ``(G, ALIKE, P)`` under the covariance of the rate's own patches."""
    mean = drawn.mean(dim=1, keepdim=True)
    span = drawn - mean
    gram = span @ span.transpose(1, 2)
    ridge = (ALIKE - 1) * noise.mean(dim=1).clamp(min=1e-12)[:, None, None] * torch.eye(ALIKE, device=drawn.device)
    # The same as (data - mean) (C + noise)^-1 C with the span's covariance C, but 60 x 60 instead of 289 x 289.
    onto = span @ (seen - mean).transpose(1, 2)
    # In double precision: at a high dose the ridge is small beside the Gram matrix, which has not its full rank.
    factor, failed = torch.linalg.cholesky_ex((gram + ridge).double())
    weights = torch.cholesky_inverse(factor).to(onto) @ onto
    # Where there is hardly any noise rounding may leave no inverse, and nothing to correct.
    return torch.where(failed[:, None, None] > 0, drawn, mean + weights.transpose(1, 2) @ span)


def _within(image: Tensor) -> Tensor:
    """Where the pixels of a patch lie from its first one, in an image that is read row by row, ``(PATCH * PATCH,)``."""
    axis = torch.arange(PATCH, device=image.device)
    return (axis[:, None] * image.shape[1] + axis).flatten()


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
    def of(cls, rate: Tensor, step: int) -> _Coarse:
        """Cover a frame."""
        height, width = (side - PATCH + 1 for side in rate.shape)
        rows, columns = (
            torch.arange(0, side + -(side - 1) % step, step, device=rate.device) for side in (height, width)
        )
        moves = torch.cartesian_prod(*[torch.arange(-REACH, REACH + 1, device=rate.device)] * 2)
        return cls(rows, columns, height, width, moves, step)


def _distances(rate: Tensor, coarse: _Coarse, every: int) -> Generator[None, None, Tensor]:
    """Distance of each coarse patch to its neighbours ``(moves, rows, columns)``; infinite outside the frame."""
    kernel, stride = -(-PATCH // every), coarse.step // every
    tall, wide = (coarse.step * (len(axis) - 1) + every * kernel for axis in (coarse.rows, coarse.columns))
    # Replicated at the far edges, so that the coarse grid reaches the last patch.
    more_y, more_x = max(0, tall - rate.shape[0]), max(0, wide - rate.shape[1])
    around = (REACH, REACH + more_x, REACH, REACH + more_y)
    padded = functional.pad(rate[None, None], around, mode="replicate")[0, 0]
    own = padded[REACH : REACH + tall : every, REACH : REACH + wide : every].contiguous()
    distance = torch.empty(len(coarse.moves), len(coarse.rows), len(coarse.columns), device=rate.device)
    for at, (down, right) in enumerate(coarse.moves.tolist()):
        top, left = REACH + down, REACH + right
        gap = (own - padded[top : top + tall : every, left : left + wide : every]).square()
        outside_y = (coarse.rows + down < 0) | (coarse.rows + down >= coarse.height)
        outside_x = (coarse.columns + right < 0) | (coarse.columns + right >= coarse.width)
        distance[at] = functional.avg_pool2d(gap[None], kernel, stride)[0]
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
