"""Draw procedural scenes: each image a kind, and a look of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance
from napari_gandenoise.settings.scenes import SceneConfig, SceneKind
from napari_gandenoise.simulate.scenes.columns import columns, fringes
from napari_gandenoise.simulate.scenes.continua import contours, gradients, grains, layers, pores, textures
from napari_gandenoise.simulate.scenes.fields import blur, palette, power_field, ramp
from napari_gandenoise.simulate.scenes.marks import marked
from napari_gandenoise.simulate.scenes.solids import fibres, leaves, particles

__all__ = ["draw_scenes"]

BORDER = 8  # pixels that are drawn and cut off: filters wrap around there
COLOURED: dict[SceneKind, Callable[[Chance, int, int, int], Tensor]] = {
    "leaves": leaves,
    "grains": grains,
    "layers": layers,
    "gradients": gradients,
    "textures": textures,
}
LATTICES: dict[SceneKind, Callable[[Chance, int, int, tuple[float, float]], Tensor]] = {
    "columns": columns,
    "fringes": fringes,
}
GREY: dict[SceneKind, Callable[[Chance, int, int], Tensor]] = {
    "particles": particles,
    "fibres": fibres,
    "pores": pores,
    "contours": contours,
}
TAILS = 0.002  # share of the darkest and of the brightest pixels that the grey scale leaves out


def draw_scenes(config: SceneConfig, count: int, side: int, generator: torch.Generator, channels: int = 1) -> Tensor:
    """Draw clean images.

    Parameters
    ----------
    config : SceneConfig
        Kinds and looks to draw from.
    count, side : int
        How many square images, of how many pixels.
    generator : torch.Generator
        Where chance comes from; everything is computed on its device.
    channels : int
        1 for grey, 3 for colour.

    Returns
    -------
    Tensor
        ``(count, channels, side, side)`` within [0, 1].
    """
    chance = Chance(generator)
    choice = chance.integers(0, len(config.kinds), count).tolist()
    scenes = torch.empty(count, channels, side + 2 * BORDER, side + 2 * BORDER, device=chance.device)
    kinds = [config.kinds[number] for number in choice]
    for kind in dict.fromkeys(kinds):
        members = [at for at, other in enumerate(kinds) if other == kind]
        scenes[members] = _scenes(chance, kind, len(members), scenes.shape[-1], channels, config)
    scenes = _looked(chance, scenes, config)[..., BORDER:-BORDER, BORDER:-BORDER]
    under = chance.happens(config.marks, count)
    if under.any():
        scenes[under] = marked(chance, scenes[under])
    return scenes.contiguous()


def _scenes(chance: Chance, kind: SceneKind, n: int, side: int, channels: int, config: SceneConfig) -> Tensor:
    """Draw scenes of one kind, ``(n, channels, side, side)``, on any scale of greys."""
    if kind == "nested":
        return _nested(chance, n, side, channels, config)
    if kind in COLOURED:
        return COLOURED[kind](chance, n, side, channels)
    grey = LATTICES[kind](chance, n, side, config.period) if kind in LATTICES else GREY[kind](chance, n, side)
    return _tinted(chance, grey, channels)


def _nested(chance: Chance, n: int, side: int, channels: int, config: SceneConfig) -> Tensor:
    """Put one scene into parts of another: a mask, with a line about it or none, tells where."""
    kinds = [kind for kind in config.kinds if kind != "nested"] or ["textures"]
    sides = []
    for _ in range(2):
        kind = kinds[int(chance.integers(0, len(kinds), 1))]
        scene = _unit(_scenes(chance, kind, n, side, channels, config))
        level = chance.uniform(0, 1, n, 1, 1, 1)
        sides.append(level + chance.uniform(0.1, 1, n, 1, 1, 1) * (scene - level))
    slope, longest = chance.uniform(4, 10, n), chance.log_uniform(side / 8, side, n)
    edge = power_field(chance, slope, side, longest) * chance.uniform(0, 1, n, 1, 1) + 2 * ramp(chance, n, side)
    inside = torch.sigmoid((edge - chance.uniform(-1, 1, n, 1, 1)) * chance.log_uniform(5, 100, n, 1, 1))[:, None]
    line = chance.uniform(-1, 1, n, 1, 1, 1) * chance.happens(0.5, n, 1, 1, 1) * inside * (1 - inside)
    return inside * sides[0] + (1 - inside) * sides[1] + line


def _tinted(chance: Chance, grey: Tensor, channels: int) -> Tensor:
    """Give a grey scale a colour for its dark and one for its bright end."""
    if channels == 1:
        return grey[:, None]
    n = len(grey)
    image = torch.arange(n, device=grey.device)
    grey = _unit(grey[:, None])
    dark, bright = (palette(chance, image, n, channels)[..., None, None] for _ in range(2))
    dark, bright = (tint - tint.mean(dim=1, keepdim=True) for tint in (dark, bright))
    return grey + (1 - grey) * dark + grey * bright


def _unit(scenes: Tensor) -> Tensor:
    """Bring scenes ``(N, C, S, S)`` to [0, 1] but for their tails."""
    values = scenes[..., ::3, ::3].flatten(1).sort(dim=1).values
    last = values.shape[1] - 1
    low, high = values[:, round(TAILS * last)], values[:, round((1 - TAILS) * last)]
    spread = (high - low).clamp(min=1e-6)
    return ((scenes - low.view(-1, 1, 1, 1)) / spread.view(-1, 1, 1, 1)).clamp(0, 1)


def _looked(chance: Chance, scenes: Tensor, config: SceneConfig) -> Tensor:
    """Blur, scale, bend, invert and fade scenes, each as it comes."""
    n, channels = scenes.shape[:2]
    sigma = chance.log_uniform(*config.blur, n)
    scenes = _unit(blur(scenes.flatten(0, 1), sigma.repeat_interleave(channels)).view(scenes.shape))
    scenes = scenes ** chance.log_uniform(*config.gamma, n, 1, 1, 1)
    scenes = torch.where(chance.happens(config.inverted, n, 1, 1, 1), 1 - scenes, scenes)
    contrast = chance.uniform(*config.contrast, n, 1, 1, 1)
    return contrast * scenes + (1 - contrast) * chance.uniform(0, 1, n, 1, 1, 1)
