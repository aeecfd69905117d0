"""What lies over micrographs: apertures, scale bars, burnt-in text."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.noise.chance import Chance

__all__ = ["marked"]

# Three by five pixels a glyph, row by row.
GLYPHS = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111", "3": "111001111001111",
    "4": "101101111001001", "5": "111100111001111", "6": "111100111101111", "7": "111001010010010",
    "8": "111101111101111", "9": "111101111001111", "n": "000110101101101", "m": "000111111101101",
    "u": "000101101111100", "k": "100101110101101", "V": "101101101101010", "x": "000101010010101",
    ".": "000000000000010", " ": "000000000000000",
}  # fmt: skip
UNITS = (" nm", " um", " kV", "k x")


def marked(chance: Chance, images: Tensor) -> Tensor:
    """Lay an aperture, a scale bar or a line of text over each of images ``(N, C, S, S)`` within [0, 1]."""
    kinds = chance.integers(0, 3, len(images)).tolist()
    draw = (_aperture, _scale_bar, _text)
    return torch.stack([draw[kind](chance, image) for kind, image in zip(kinds, images, strict=True)])


def _aperture(chance: Chance, image: Tensor) -> Tensor:
    side = image.shape[-1]
    line = torch.arange(side, device=image.device)
    radius, soft = side * float(chance.uniform(0.4, 0.8, 1)), float(chance.log_uniform(0.5, 6, 1))
    y, x = (side * float(chance.uniform(0.3, 0.7, 1)) for _ in range(2))
    out = ((line[:, None] - y) ** 2 + (line - x) ** 2).sqrt() - radius
    return image * torch.sigmoid(-out / soft)


def _scale_bar(chance: Chance, image: Tensor) -> Tensor:
    side = image.shape[-1]
    length, thick = int(side * float(chance.uniform(0.15, 0.4, 1))), 2 + int(chance.integers(0, max(2, side // 50), 1))
    y, x = side - 3 * thick - side // 20, side // 20 + int(chance.integers(0, side // 4, 1))
    result = image.clone()
    level = float(chance.happens(0.7, 1))
    result[:, y : y + thick, x : x + length] = level
    number = str(int(chance.integers(1, 500, 1)))
    return _written(result, number + " nm", y, x, max(1, thick // 2), level)


def _text(chance: Chance, image: Tensor) -> Tensor:
    side = image.shape[-1]
    number = f"{float(chance.uniform(0, 300, 1)):.1f}" + UNITS[int(chance.integers(0, len(UNITS), 1))]
    size = 1 + int(chance.integers(0, max(1, side // 100), 1))
    y = int(chance.integers(8 * size, max(8 * size + 1, side - 2 * size), 1))
    return _written(image.clone(), number, y, side // 20, size, float(chance.happens(0.7, 1)))


def _written(image: Tensor, text: str, bottom: int, left: int, size: int, level: float) -> Tensor:
    """Write text whose feet stand ``size`` pixels above a row; what is beyond the image is lost."""
    rows = [" ".join(GLYPHS[letter][3 * row : 3 * row + 3] for letter in text).replace(" ", "0") for row in range(5)]
    ink = torch.tensor([[int(dot) for dot in row] for row in rows], device=image.device, dtype=torch.bool)
    ink = ink.repeat_interleave(size, 0).repeat_interleave(size, 1)
    top = max(0, bottom - len(ink) - size)
    part = image[:, top : top + len(ink), left : left + ink.shape[1]]
    part[:, ink[: part.shape[1], : part.shape[2]]] = level
    return image
