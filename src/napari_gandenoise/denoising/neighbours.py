"""The evidence of neighbouring frames: their counts, brought to where the specimen is now, as far as it is the same.

What moves little by little between two frames of a movie shows the same columns, a few pixels on.  Where to, place by
place, is found by likelihood: of all whole shifts the one under which the other frame's rate, as a network cleans that
alone, explains the counts of this frame best (block matching, as in Lucas and Kanade (1981) or video codecs, with the
detector's likelihood for a distance).  Counts are moved by whole pixels, so that they stay counts.  Where the moved
counts differ from this frame's by more than chance, something has changed, and they are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.tiling import Frame, grid_counts

__all__ = ["Look", "Shift", "brought", "gathered", "matched", "moved"]

Shift = tuple[int, int]  # pixels down and right

# Grid pixels, but for the number and the deviations; chosen on the sample movie's own simulation.
REACH = 4  # how far a place may have moved between two frames, beyond the drift of all of it
WINDOW = 8.0  # standard deviation of the window that moves together: two or three columns
STRIDE = 4  # from window to window
RELUCTANCE = 0.45  # nats a grid pixel of a shift: of equally good ones the smallest is taken
CHANGE = (1.5, 3.0)  # standard deviations of the windows in which counts are compared: a column, and its neighbours
CHANGED = 3.5  # standard deviations beyond which they differ
HALF_NORMAL = 0.6745  # median of the size of a standard normal number
AROUND = 2  # of a place that has changed, how far counts are left out
LEAST = 1e-3  # of the mean rate: what the logarithm of a rate is taken of at least
PROVEN = 30.0  # nats by which a far drift must explain the counts better than a near one: lattices repeat
DRIFT_SHARE = 0.25  # of a frame's side: beyond that two frames show different things


@dataclass(frozen=True)
class Look:
    """A frame of a movie, and its rate as a network cleans that alone.

    Attributes
    ----------
    frame : Frame
        Its counts.
    rate : Tensor
        ``(C, Y, X)`` on the input's pixels, electrons per input pixel.
    """

    frame: Frame
    rate: Tensor


def gathered(
    own: Look, others: Sequence[Look], given: Sequence[Shift] | None = None, *, align: bool = True
) -> tuple[Frame, list[Shift]]:
    """Add to a frame's counts those of others where they show the same.

    Parameters
    ----------
    own : Look
        The frame.
    others : sequence of Look
        Its neighbours in time.
    given : sequence of tuple of int, optional
        The drift of each of them, if somebody knows it.
    align : bool
        Whether to look for drifts farther than places may have moved.

    Returns
    -------
    frame : Frame
        Its counts are means over the frames that were taken, and ``exposed`` is their number, pixel by pixel.
    drifts : list of tuple of int
        By how many whole pixels all of each neighbour lies further down and right.
    """
    exposure, drifts = own.frame.exposure, []
    total, seen = own.frame.counts * exposure, exposure
    for number, other in enumerate(others):
        shifts, drift = matched(own, other, given[number] if given is not None else None, align=align)
        counts, exposed = moved(other, shifts)
        same = _same(own.frame, counts, exposed)
        total, seen = total + counts * exposed * same, seen + exposed * same
        drifts.append(drift)
    return replace(own.frame, counts=total / seen.clamp(min=1), exposed=seen), drifts


def brought(own: Look, other: Look) -> Frame:
    """Bring the counts of another frame to where this one shows the same; elsewhere they are missing."""
    counts, exposed = moved(other, matched(own, other)[0])
    return replace(own.frame, counts=counts, exposed=exposed * _same(own.frame, counts, exposed))


def moved(look: Look, shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Move the counts of a frame by whole pixels.

    Parameters
    ----------
    look : Look
        The frame.
    shifts : Tensor
        ``(2, Y, X)``: rows and columns from each pixel to where it comes from.

    Returns
    -------
    counts : Tensor
        ``(C, Y, X)``.
    exposed : Tensor
        ``(Y, X)``: zero where they come from beyond the frame, or from missing pixels.
    """
    height, width = look.frame.grid.shape
    rows = torch.arange(height, device=shifts.device)[:, None] + shifts[0]
    columns = torch.arange(width, device=shifts.device) + shifts[1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    return look.frame.counts[:, rows, columns], look.frame.exposure[rows, columns] * inside


def matched(own: Look, other: Look, given: Shift | None = None, *, align: bool = True) -> tuple[Tensor, Shift]:
    """Find from where in another frame each pixel comes.

    Shifts around none are tried everywhere, and around the drift, if that is larger: what drifts may stand on what
    does not.

    Parameters
    ----------
    own, other : Look
        The frames.
    given, align
        As for `gathered`, of this other frame.

    Returns
    -------
    shifts : Tensor
        ``(2, Y, X)``, rows and columns, whole input pixels.
    drift : tuple of int
        Of all of the frame.
    """
    summed, (height, width) = own.frame.grid.summed, own.frame.grid.shape
    gains, steps = _gains(own, other.rate)
    row, column = steps[int(gains.sum(dim=(1, 2)).argmax())]
    near = (int(row), int(column))
    drift, far = near, False
    if given is not None:
        drift, far = given, max(map(abs, given)) > REACH * summed
    elif align and _proven(own, other, correlated := _correlated(own, other), near):
        drift, far = correlated, True
    if far:
        more, further = _gains(own, _rolled(other.rate, *drift))
        gains, steps = torch.cat([gains, more]), torch.cat([steps, further + further.new_tensor(drift)])
    found = steps[gains.argmax(dim=0)].permute(2, 0, 1)
    wide = found.repeat_interleave(STRIDE * summed, dim=1).repeat_interleave(STRIDE * summed, dim=2)
    return wide[:, :height, :width], drift


def _gains(own: Look, rate: Tensor) -> tuple[Tensor, Tensor]:
    """Say how well a rate explains a frame's counts, place by place, once it is shifted.

    Returns
    -------
    gains : Tensor
        ``(N, y, x)``, nats of windows `STRIDE` apart, less what a shift costs.
    shifts : Tensor
        ``(N, 2)``, rows and columns, input pixels.
    """
    sums, exposure = own.frame.sums
    counted = sums + exposure * own.frame.read_variance
    seen = own.frame.grid.means(rate) + own.frame.read_variance
    seen = seen.clamp(min=LEAST * max(float(seen.mean()), 1e-9))
    around = functional.pad(seen[None], [REACH] * 4, mode="replicate")[0]
    # Relative to the mean rate: single precision keeps no nats of the sums of a bright camera's counts themselves.
    usual = seen.mean()
    logarithm, around = (around / usual).log(), around - usual
    gains, steps = [], []
    for row in range(2 * REACH + 1):
        for column in range(2 * REACH + 1):
            rows, columns = slice(row, row + sums.shape[1]), slice(column, column + sums.shape[2])
            gain = counted * logarithm[:, rows, columns] - exposure * around[:, rows, columns]
            steps.append((row - REACH, column - REACH))
            cost = RELUCTANCE * (steps[-1][0] ** 2 + steps[-1][1] ** 2) ** 0.5
            gains.append(_windowed(gain.sum(dim=0)) - cost)
    return torch.stack(gains), torch.tensor(steps, device=sums.device) * own.frame.grid.summed


def _correlated(own: Look, other: Look) -> tuple[int, int]:
    """Find by how many pixels all of another frame has moved down and right, by the correlation of both on the grid."""
    grid = own.frame.grid
    images = [grid.means(look.rate).sum(dim=0).double().cpu().numpy() for look in (own, other)]
    images = [image - image.mean() for image in images]
    if not all(image.any() for image in images):  # flat: nothing to tell a drift from
        return 0, 0
    shift, _, _ = phase_cross_correlation(images[0], images[1], normalization=None)
    down, right = (-round(float(part)) for part in shift)
    if abs(down) > DRIFT_SHARE * grid.sides[0] or abs(right) > DRIFT_SHARE * grid.sides[1]:
        return 0, 0
    return down * grid.summed, right * grid.summed


def _proven(own: Look, other: Look, far: Shift, near: Shift) -> bool:
    """Say whether a far drift explains a frame's counts so much better than a near one that it is taken for true."""
    return _explained(own, _rolled(other.rate, *far)) - _explained(own, _rolled(other.rate, *near)) > PROVEN


def _explained(own: Look, rate: Tensor) -> float:
    """Return the log-likelihood of a frame's counts under a rate, nats up to a constant."""
    found, pixels = grid_counts(rate, own.frame.grid.summed)
    sums, exposure = own.frame.sums
    shift = exposure * own.frame.read_variance
    expected = (exposure * found / pixels + shift).clamp(min=LEAST)
    usual = expected.mean()
    return float(((sums + shift) * (expected / usual).log() - (expected - usual)).sum(dtype=torch.float64))


def _rolled(image: Tensor, down: int, right: int) -> Tensor:
    """Move an image so that what is ``down`` and ``right`` of a pixel lies there; its edges are repeated."""
    height, width = image.shape[1:]
    rows = (torch.arange(height, device=image.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=image.device) + right).clamp(0, width - 1)
    return image[:, rows][:, :, columns]


def _same(own: Frame, counts: Tensor, exposed: Tensor) -> Tensor:
    """Say where counts are those of a frame but for chance: ``(Y, X)``, one or zero."""
    summed, exposure = own.grid.summed, own.exposure
    both = exposure * exposed
    one, pixels = grid_counts(own.counts, summed, both)
    other, _ = grid_counts(counts, summed, both)
    difference = (one - other).sum(dim=0)
    variance = (one + other + 2 * own.read_variance * pixels).sum(dim=0).clamp(min=0)
    deviations, known = torch.zeros_like(difference), pixels > 0
    for width in CHANGE:
        taps = _gaussian(width).to(difference)
        usual = _laid(variance, taps.square()).clamp(min=1e-9).sqrt()
        found = _laid(difference, taps).abs() / usual
        # Lines of a scan jitter, so that all places differ by more than their counts' own chance.
        found = found / (found[known].median() / HALF_NORMAL).clamp(min=1) if known.any() else found
        deviations = torch.maximum(deviations, found)
    changed = (deviations > CHANGED).float()[None, None]
    changed = functional.max_pool2d(changed, 2 * AROUND + 1, 1, AROUND)
    wide = functional.interpolate(changed, scale_factor=summed, mode="nearest")[0, 0]
    return 1 - wide[: own.grid.shape[0], : own.grid.shape[1]]


def _windowed(image: Tensor) -> Tensor:
    """Add up an image ``(y, x)`` in windows `STRIDE` apart."""
    return _laid(image, _gaussian(WINDOW).to(image), STRIDE)


def _laid(image: Tensor, taps: Tensor, stride: int = 1) -> Tensor:
    reach = len(taps) // 2
    planes = functional.conv2d(image[None, None], taps.view(1, 1, -1, 1), stride=(stride, 1), padding=(reach, 0))
    found: Tensor = functional.conv2d(planes, taps.view(1, 1, 1, -1), stride=(1, stride), padding=(0, reach))
    return found[0, 0]


@lru_cache(maxsize=4)
def _gaussian(width: float) -> Tensor:
    reach = int(np.ceil(3 * width))
    return torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
