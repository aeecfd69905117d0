"""Images as cameras and scans record them: counting and read-out noise, blur that noise shares, lines, files."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.noise.distortion import ScanMotion, Scanned, Shifts, displacements, random_walk, resample
from napari_gandenoise.settings.acquisition import AcquisitionConfig

__all__ = ["Acquired", "acquire"]

REACH = 3.0  # standard deviations of a Gaussian that is cut off
MIDDLE = 0.5  # grey, where the strength of a photograph's noise is stated
LEVELS = 255
# What a detector does not do that counts every electron.
COUNTER = {"effects": 0.0, "read_noise": (0.0, 0.0), "eight_bits": 0.0, "gain": (1.0, 1.0), "offset": (0.0, 0.0)}
FAINTEST = 1e-4  # of a clean image's range: noise that nothing can show


class Acquired(NamedTuple):
    """Recorded images and what is known of them."""

    noisy: Tensor  #: ``(N, C, H, W)``
    clean: Tensor  #: ``(N, C, H, W)``, what is to be found
    strength: Tensor  #: ``(N, 1, H, W)``, standard deviation of the noise in the units of the images
    correlation: Tensor  #: ``(N, 2)``, pixels down and across that share their noise; 1 for white noise


class _Exposed(NamedTuple):
    """What leaves the detector, before it is stored; the variance is ``(N, C, H, W)``."""

    noisy: Tensor
    clean: Tensor
    variance: Tensor
    correlation: Tensor


def acquire(clean: Tensor, config: AcquisitionConfig, generator: torch.Generator) -> Acquired:
    """Record clean images, each in a way of its own.

    A micrograph is blurred by the point spread, lies on a background, is distorted by the scan, counted, blurred again
    together with the counting noise (scintillator of a camera, decay of a scan's detector), read out, smoothed by
    software, given lines and outliers, clipped and rounded.  The strength is what these steps make of the variances
    of counting, read-out, lines and rounding.  Clipping lowers the noise where it happens, and outliers are rare: the
    strength knows of neither.

    Parameters
    ----------
    clean : Tensor
        ``(N, C, H, W)`` within [0, 1].
    config : AcquisitionConfig
        Ranges of all effects.
    generator : torch.Generator
        Where chance comes from, on the images' device.

    Returns
    -------
    Acquired
        ``config.cut`` pixels smaller on each side.  What is to be found has the recorded images' units, gain and
        background: no network could guess them.
    """
    chance = Chance(generator)
    n = len(clean)
    if config.recorder == "counter":
        config = config.model_copy(update=COUNTER)
    if config.recorder == "photograph":
        exposed = _photographed(clean, config, chance)
        low, high = torch.zeros(n, 1, 1, 1).to(clean), torch.ones(n, 1, 1, 1).to(clean)
    else:
        exposed = _exposed(clean, config, chance)
        low, high = _limits(exposed.noisy, config, chance)
        exposed = exposed._replace(noisy=exposed.noisy.clamp(low, high))
    rounded = chance.happens(config.eight_bits, n, 1, 1, 1)
    noisy = torch.where(rounded, _rounded(exposed.noisy, low, high), exposed.noisy)
    variance = exposed.variance + torch.where(rounded, ((high - low) / LEVELS) ** 2 / 12, 0.0)
    gain, offset = chance.log_uniform(*config.gain, n, 1, 1, 1), chance.uniform(*config.offset, n, 1, 1, 1)
    strength = gain * variance.mean(dim=1, keepdim=True).sqrt()
    return Acquired(gain * noisy + offset, gain * exposed.clean + offset, strength, exposed.correlation)


def _photographed(clean: Tensor, config: AcquisitionConfig, chance: Chance) -> _Exposed:
    n = len(clean)
    sigma = chance.uniform(*config.sigma, n, 1, 1, 1)
    # The share of the variance that counting has.
    counting = chance.happens(config.effects, n, 1, 1, 1) * chance.uniform(0, 1, n, 1, 1, 1)
    per_count = counting * sigma**2 / MIDDLE
    counted = _poisson(clean, per_count, chance)
    noisy = counted + (1 - counting).sqrt() * sigma * chance.normal(*clean.shape)
    variance = clean * per_count + (1 - counting) * sigma**2
    return _Exposed(noisy, clean, variance, torch.ones(n, 2, device=clean.device))


def _exposed(clean: Tensor, config: AcquisitionConfig, chance: Chance) -> _Exposed:
    n = len(clean)
    scans = chance.happens({"counter": 0.0, "camera": 0.0, "scan": 1.0}.get(config.recorder, 0.5), n)
    spread = gaussian(_some(config.point_spread, config, chance, n))
    background = _some(config.background, config, chance, n).view(-1, 1, 1, 1)
    sharp, signal = ((image + background) / (1 + background) for image in (clean, _blurred(clean, spread, spread)))
    shifts = _shifts(config, chance, scans, clean)
    scanned = _scanned(signal, shifts.all)
    per_electron = _per_electron(scanned, config, chance)
    read = _read_noise(config, chance, n).view(-1, 1, 1, 1)
    glow = gaussian(_some(config.correlation, config, chance, n) * ~scans)
    lag = decay(_some(config.lag, config, chance, n) * scans)
    smooth = gaussian(_some(config.smoothing, config, chance, n))
    down, across = _joined(glow, smooth), _joined(_joined(glow, lag), smooth)
    noisy = _blurred(_poisson(scanned, per_electron, chance), down, across)
    noisy = noisy + _blurred(read * chance.normal(*clean.shape), smooth, smooth)
    counting = scanned * per_electron
    kept = smooth.square().sum(dim=1)
    correlation = _correlation(counting.mean(dim=(1, 2, 3)), read.flatten() ** 2, (down, across), kept)
    variance = _blurred(counting, down**2, across**2) + (read * kept.view(-1, 1, 1, 1)) ** 2
    lines, of_lines = _lines(scanned, config, chance, scans)
    noisy = _with_outliers(noisy + lines, config, chance)
    match config.target:
        case "recorded":
            target = _blurred(scanned, down, across)
        case "undistorted":
            target = _scanned(signal, shifts.lasting)
        case "sharp":
            target = _scanned(sharp, shifts.lasting)
    noisy, target, variance = (_inside(image, config.cut) for image in (noisy, target, variance + of_lines))
    return _Exposed(noisy, target, variance, correlation)


def _some(largest: float, config: AcquisitionConfig, chance: Chance, n: int) -> Tensor:
    """Draw how much of an effect each image has: none, or anything up to the largest."""
    return chance.happens(config.effects, n) * chance.uniform(0, largest, n)


def _inside(images: Tensor, cut: int) -> Tensor:
    height, width = images.shape[-2:]
    return images[..., cut : height - cut, cut : width - cut]


def _shifts(config: AcquisitionConfig, chance: Chance, scans: Tensor, images: Tensor) -> Scanned:
    n, _, height, width = images.shape
    limits = (config.jitter, config.drift, config.flyback)
    motion = ScanMotion(*(_some(most, config, chance, n) * scans for most in limits))
    scanned = displacements(chance, motion, height, width)
    return Scanned(*(Shifts(*(shift.clamp(-config.cut, config.cut) for shift in shifts)) for shifts in scanned))


def _scanned(images: Tensor, shifts: Shifts) -> Tensor:
    moved = (shifts.down != 0).any(dim=1) | (shifts.across != 0).flatten(1).any(dim=1)
    if not moved.any():
        return images
    scanned = images.clone()
    scanned[moved] = resample(images[moved], Shifts(shifts.down[moved], shifts.across[moved])).clamp(
        0, 1
    )  # cubic convolution overshoots at edges
    return scanned


def _per_electron(signal: Tensor, config: AcquisitionConfig, chance: Chance) -> Tensor:
    if config.dose is None:
        return torch.zeros(len(signal), 1, 1, 1, device=signal.device)
    dose = chance.log_uniform(*config.dose, len(signal), 1, 1, 1)
    return signal.mean(dim=(1, 2, 3), keepdim=True) / dose


def _poisson(signal: Tensor, unit: Tensor, chance: Chance) -> Tensor:
    """Count a signal in units ``(N, 1, 1, 1)`` of it; unit 0: too many counts to matter."""
    counts = torch.poisson((signal / unit.clamp(min=FAINTEST**2)).clamp(min=0), generator=chance.generator)
    return torch.where(unit > 0, counts * unit.clamp(min=FAINTEST**2), signal)


def _read_noise(config: AcquisitionConfig, chance: Chance, n: int) -> Tensor:
    low, high = config.read_noise
    return chance.log_uniform(max(low, FAINTEST), max(high, FAINTEST), n) * (high > 0)


def gaussian(sigma: Tensor) -> Tensor:
    """Make Gaussian kernels ``(N, K)`` of sum 1 from their standard deviations ``(N,)`` in pixels."""
    reach = ceil(REACH * float(sigma.max()))
    axis = torch.arange(-reach, reach + 1, device=sigma.device)
    kernels = (-0.5 * (axis / sigma[:, None].clamp(min=FAINTEST)) ** 2).exp()
    return kernels / kernels.sum(dim=1, keepdim=True)


def decay(time: Tensor) -> Tensor:
    """Make the kernels ``(N, K)`` of a detector that decays exponentially in times ``(N,)`` of pixels.

    They lie about their mean delay, to the nearest pixel: a shift of the whole image means nothing.
    """
    reach = ceil(2 * REACH * float(time.max()))
    kept = (-1 / time[:, None].clamp(min=FAINTEST)).exp()
    age = torch.arange(-reach, reach + 1, device=time.device) + (kept / (1 - kept)).round()
    kernels = torch.where(age >= 0, kept ** age.clamp(min=0), 0.0)
    return kernels / kernels.sum(dim=1, keepdim=True)


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """Convolve kernels ``(N, K)`` with each other."""
    reach = second.shape[1] - 1
    return functional.conv1d(first[None], second.flip(1)[:, None], padding=reach, groups=len(first))[0]


def _blurred(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Convolve images with kernels ``(N, K)`` of their own; the border repeats outwards."""
    some = (down.amax(dim=1) < 1) | (across.amax(dim=1) < 1)
    if not some.any():
        return images
    blurred = images.clone()
    part = images[some]
    n, channels, height, width = part.shape
    ends = (across.shape[1] // 2,) * 2 + (down.shape[1] // 2,) * 2
    part = functional.pad(part, ends, mode="replicate").flatten(0, 1)[None]
    rows, columns = (kernel[some].flip(1).repeat_interleave(channels, 0)[:, None] for kernel in (across, down))
    part = functional.conv2d(part, rows[:, :, None, :], groups=n * channels)
    part = functional.conv2d(part, columns[:, :, :, None], groups=n * channels)
    blurred[some] = part.view(n, channels, height, width)
    return blurred


def _correlation(counting: Tensor, read: Tensor, kernels: tuple[Tensor, Tensor], kept: Tensor) -> Tensor:
    """Add up the noise's autocorrelation along each axis, ``(N, 2)``; kernels have the sum 1.

    Parameters
    ----------
    counting, read : Tensor
        ``(N,)``, variances before any blur.
    kernels : tuple of Tensor
        What blurs the counting noise, down and across.
    kept : Tensor
        ``(N,)``, share of the read-out's variance that smoothing along one axis keeps.
    """
    down, across = (kernel.square().sum(dim=1) for kernel in kernels)
    variance = (counting * down * across + read * kept**2).clamp(min=FAINTEST**3)
    sums = torch.stack([counting * across + read * kept, counting * down + read * kept], dim=1)
    return torch.where((counting + read > 0)[:, None], sums / variance[:, None], 1.0)


def _lines(signal: Tensor, config: AcquisitionConfig, chance: Chance, scans: Tensor) -> tuple[Tensor, Tensor]:
    """Draw what lines add to a signal, and its variance."""
    n, _, height, width = signal.shape
    level = _some(config.stripes, config, chance, n).view(-1, 1, 1, 1)
    gain = (_some(config.line_gain, config, chance, n) * scans).view(-1, 1, 1, 1)
    rows, columns, gains = (random_walk(chance, chance.uniform(0, 0.9, n), steps) for steps in (height, width, height))
    stripes = torch.where(scans.view(-1, 1, 1, 1), rows[:, None, :, None], columns[:, None, None, :])
    return level * stripes + gain * gains[:, None, :, None] * signal, level**2 + (gain * signal) ** 2


def _with_outliers(noisy: Tensor, config: AcquisitionConfig, chance: Chance) -> Tensor:
    """Kill pixels, heat others; a hit of an X-ray spills over into neighbours."""
    n, _, height, width = noisy.shape
    share = _some(config.outliers, config, chance, n).view(-1, 1, 1, 1)
    hot, spilling = chance.uniform(0, 1, n, 1, 1, 1), chance.happens(0.3, n, 1, 1, 1)
    dice = chance.uniform(0, 1, n, 1, height, width)
    low, high = noisy.amin(dim=(1, 2, 3), keepdim=True), noisy.amax(dim=(1, 2, 3), keepdim=True)
    heat = torch.where(dice < share * hot, 1 + chance.uniform(0, 1, n, 1, height, width), 0.0)
    spilled = functional.max_pool2d(functional.pad(heat, (1, 0, 1, 0)), 2, stride=1)
    heat = torch.where(spilling, spilled, heat)
    noisy = torch.where((dice >= share * hot) & (dice < share), low, noisy)
    return torch.where(heat > 0, low + (high - low) * heat, noisy)


def _limits(noisy: Tensor, config: AcquisitionConfig, chance: Chance) -> tuple[Tensor, Tensor]:
    """Draw between which values each image is stored, two tensors ``(N, 1, 1, 1)``."""
    n = len(noisy)
    values = noisy[..., ::3, ::3].flatten(1).sort(dim=1).values  # a ninth of the pixels tells their quantiles
    shares = torch.stack([_some(config.clipped, config, chance, n) for _ in range(2)], dim=1)
    places = (shares * (values.shape[1] - 1)).round().long()
    places[:, 1] = values.shape[1] - 1 - places[:, 1]
    low, high = values.gather(1, places).view(n, 2, 1, 1, 1).unbind(1)
    least, most = noisy.amin(dim=(1, 2, 3), keepdim=True), noisy.amax(dim=(1, 2, 3), keepdim=True)
    cut_low, cut_high = (shares > 0).view(n, 2, 1, 1, 1).unbind(1)
    return torch.where(cut_low, low, least), torch.where(cut_high, high, most)


def _rounded(noisy: Tensor, low: Tensor, high: Tensor) -> Tensor:
    step = ((high - low) / LEVELS).clamp(min=FAINTEST**2)
    return low + ((noisy.clamp(low, high) - low) / step).round() * step
