"""How a scan really is: lines that jitter, a specimen that drifts, a beam that flies back late, a detector that lags.

A scanned image is taken point by point, so whatever moves the beam or the specimen meanwhile moves its pixels, slowly
along the columns and fast along the lines; see Jones and Nellist, "Identifying and correcting scan noise and drift in
the scanning transmission electron microscope", Microsc. Microanal. 19 (2013) 1050.  Lengths are in pixels and times in
lines, so that the same scan suits an image of any magnification.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.settings.stem import ScanConfig

__all__ = ["ScanConditions", "displace", "draw_scans", "lag", "scan", "scan_displacements"]

POLE = 3**0.5 - 2  # of the filter that finds a cubic spline's coefficients; Unser (1999), "Splines: a perfect fit"
REACH = 12  # its taps on each side: it has fallen to 1e-7
PATH_WAVES = 4  # half waves in the path of an unsteady drift


class ScanConditions(NamedTuple):
    """One draw for each of N images from a `ScanConfig`: tensors ``(N,)``, units as there."""

    jitter_px: Tensor
    slow_jitter_px: Tensor
    wander_px: Tensor
    wander_lines: Tensor
    hum_px: Tensor
    hum_cycles: Tensor
    drift_px: Tensor
    drift_angle: Tensor
    unsteady_drift_px: Tensor
    flyback_px: Tensor
    flyback_length_px: Tensor
    lag_px: Tensor


def draw_scans(config: ScanConfig, count: int, generator: torch.Generator) -> ScanConditions:
    """Draw the conditions of ``count`` scans, each quantity uniformly from its range, on the generator's device."""

    def uniform(bounds: tuple[float, float]) -> Tensor:
        drawn = torch.rand(count, generator=generator, device=generator.device)
        return bounds[0] + (bounds[1] - bounds[0]) * drawn

    # The order of the fields is the order of the draws.
    ranges = {name: getattr(config, name, (0.0, 2 * torch.pi)) for name in ScanConditions._fields}
    return ScanConditions(**{name: uniform(bounds) for name, bounds in ranges.items()})


def scan(clean: Tensor, conditions: ScanConditions, generator: torch.Generator) -> Tensor:
    """Take images as a distorted scan takes them.

    Noise comes after this, and the detector's `lag` after the noise.

    Parameters
    ----------
    clean : Tensor
        ``(N, Y, X)`` or ``(N, C, Y, X)``, lines along x; the channels of an image are scanned together.  Beyond its
        edges an image goes on as its mirror image: for true values there, give more and cut the result.
    conditions : ScanConditions
        Of N scans.
    generator : torch.Generator
        Source of jitter and drift, on the device of the images.

    Returns
    -------
    Tensor
        Of the same shape.  Shifts of the whole image are left out, so that it lies over ``clean``.
    """
    return displace(clean, scan_displacements(clean.shape[-2], clean.shape[-1], conditions, generator))


def scan_displacements(height: int, width: int, conditions: ScanConditions, generator: torch.Generator) -> Tensor:
    """Say where the beam was, off its place, at every pixel of a scan.

    Returns
    -------
    Tensor
        ``(N, 2, Y, X)``, pixels: along x and along y.
    """
    shifts = _line_shifts(height, conditions, generator)
    x = torch.arange(width, device=shifts.device)
    y = torch.arange(height, device=shifts.device)
    away = shifts[..., None] + _hum(y[:, None] + x / width, conditions, generator)
    # The beam comes from the end of the last line and has not quite arrived when the next one begins.
    late = torch.exp(-x / _each(conditions.flyback_length_px, 1).clamp(min=1e-3))
    away[:, 0] += (_each(conditions.flyback_px, 1) * late)[:, None]
    return away


def displace(image: Tensor, displacements: Tensor) -> Tensor:
    """Look up images at displaced pixels, through the cubic spline that has their values.

    Parameters
    ----------
    image : Tensor
        ``(N, Y, X)`` or ``(N, C, Y, X)``.
    displacements : Tensor
        ``(N, 2, Y, X)``, pixels: along x and along y.

    Returns
    -------
    Tensor
        Of the image's shape.
    """
    layers = image if image.ndim == 4 else image[:, None]
    height, width = layers.shape[-2:]
    coefficients = _spline_coefficients(layers).flatten(2)
    columns, across = _taps(torch.arange(width, device=image.device) + displacements[:, 0], width)
    rows, down = _taps(torch.arange(height, device=image.device)[:, None] + displacements[:, 1], height)
    result = torch.zeros_like(layers)
    for row, weight_y in zip(rows, down, strict=True):
        for column, weight_x in zip(columns, across, strict=True):
            place = (row * width + column).flatten(1)[:, None].expand(-1, layers.shape[1], -1)
            result += coefficients.gather(2, place).view_as(layers) * (weight_y * weight_x)[:, None]
    return result.view_as(image)


def lag(image: Tensor, length_px: Tensor) -> Tensor:
    """Smear images along their lines as a slow detector does: a low-pass of one time constant, causal.

    What is white comes out with correlation ``a = exp(-1 / length)`` between neighbours in a line and ``(1 - a) / (1 +
    a)`` times its variance; means stay.

    Parameters
    ----------
    image : Tensor
        ``(N, Y, X)`` or ``(N, C, Y, X)``, lines along x.
    length_px : Tensor
        ``(N,)``: time constant over dwell time, pixels; zero for a detector that is fast enough.

    Returns
    -------
    Tensor
        Of the same shape.  Before a line began, its first value counts.
    """
    kept = _kept(length_px)
    weights = _memory(kept, image.shape[-1]) * _each(1 - kept, 2)
    weights[..., 0] /= _each(1 - kept, 1)  # the first value stands for all that came before it
    layers = image if image.ndim == 4 else image[:, None]
    return (layers @ weights.mT[:, None]).view_as(image)


def _line_shifts(height: int, conditions: ScanConditions, generator: torch.Generator) -> Tensor:
    """Draw shifts ``(N, 2, Y)`` of whole lines, along x and along y, each of mean zero."""
    jitter_px = torch.stack([conditions.jitter_px, conditions.slow_jitter_px], 1)
    white = torch.randn(2, len(jitter_px), 2, height, generator=generator, device=generator.device)
    kept = _kept(conditions.wander_lines)
    scale = torch.sqrt(1 - kept**2)[:, None].expand(-1, height).clone()
    scale[:, 0] = 1  # what came before the first line has the same variance
    wander = (white[1] * scale[:, None]) @ _memory(kept, height).mT
    direction = torch.stack([torch.cos(conditions.drift_angle), torch.sin(conditions.drift_angle)], 1)
    progress = (torch.arange(height, device=white.device) + 0.5) / height
    shifts = (
        _each(jitter_px, 1) * white[0]
        + _each(conditions.wander_px, 2) * wander
        + _each(conditions.drift_px, 2) * direction[..., None] * (progress - 0.5)
        + _each(conditions.unsteady_drift_px, 2) * _unsteady(progress, len(jitter_px), generator)
    )
    return shifts - shifts.mean(-1, keepdim=True)


def _unsteady(progress: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw smooth paths ``(N, 2, Y)`` of mean zero and expected mean square one, over the time of a frame."""
    order = torch.arange(1, PATH_WAVES + 1, device=progress.device)
    amplitudes = torch.randn(count, 2, PATH_WAVES, generator=generator, device=generator.device) / order
    return amplitudes @ torch.cos(torch.pi * order[:, None] * progress) / (0.5 * (1 / order**2).sum()).sqrt()


def _hum(time: Tensor, conditions: ScanConditions, generator: torch.Generator) -> Tensor:
    """Return the sway ``(N, 2, Y, X)`` by the mains at times in lines; its direction and its phase are drawn."""
    count = len(conditions.hum_px)
    direction, phase = 2 * torch.pi * torch.rand(2, count, generator=generator, device=generator.device)
    sway = torch.sin(2 * torch.pi * _each(conditions.hum_cycles, 2) * time + _each(phase, 2))
    sway = sway - sway.mean((1, 2), keepdim=True)
    amplitude = conditions.hum_px * torch.stack([torch.cos(direction), torch.sin(direction)])
    return amplitude.T[:, :, None, None] * sway[:, None]


def _kept(length: Tensor) -> Tensor:
    """Return what is left after one step of a memory of so many steps."""
    return torch.where(length > 0, torch.exp(-1 / length.clamp(min=1e-6)), 0.0)


def _memory(kept: Tensor, size: int) -> Tensor:
    """Return how much of value j is left at value i: ``(N, size, size)``, zero for what is to come."""
    step = torch.arange(size, device=kept.device)
    ago = step[:, None] - step
    return torch.where(ago >= 0, _each(kept, 2) ** ago.clamp(min=0), 0.0)


def _spline_coefficients(image: Tensor) -> Tensor:
    """Return the coefficients of the cubic spline through the pixels of ``(N, C, Y, X)``."""
    taps = torch.arange(-REACH, REACH + 1, device=image.device)
    kernel = (-6 * POLE / (1 - POLE**2) * POLE ** taps.abs()).to(image)
    for _ in range(2):
        rows = image.flatten(0, 2)[:, None]
        places = _mirrored(torch.arange(-REACH, rows.shape[-1] + REACH, device=image.device), rows.shape[-1])
        filtered = functional.conv1d(rows[..., places], kernel[None, None])
        image = filtered.view(image.shape).transpose(2, 3)
    return image


def _taps(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return places ``(4, ...)`` and weights of the cubic B-splines that reach a position."""
    base = torch.floor(position)
    part = position - base
    weights = torch.stack(
        [
            (1 - part) ** 3 / 6,
            2 / 3 - part**2 * (2 - part) / 2,
            2 / 3 - (1 - part) ** 2 * (1 + part) / 2,
            part**3 / 6,
        ]
    )
    steps = torch.arange(-1, 3, device=position.device).view(4, *[1] * position.ndim)
    return _mirrored(base.long() + steps, size), weights


def _mirrored(place: Tensor, size: int) -> Tensor:
    """Fold places beyond the first and the last pixel back inside."""
    period = max(2 * (size - 1), 1)
    folded = place % period
    return torch.minimum(folded, period - folded) if size > 1 else torch.zeros_like(place)


def _each(values: Tensor, axes: int) -> Tensor:
    """Append axes, for one value an image."""
    return values[(..., *[None] * axes)]
