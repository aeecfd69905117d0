"""Changes to files, as damage and malice make them."""

from __future__ import annotations

import re
from copy import deepcopy

import numpy as np

__all__ = ["EXTREMES", "mutated", "spoil"]

EXTREMES = (0, 1, 2**7 - 1, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, 10**9, 30_000)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a file in one to four places, more often near its beginning, where headers are."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if changed:
            where = int(len(changed) * rng.random() ** rng.choice((1, 4)))
            WAYS[rng.integers(len(WAYS))](changed, where, rng)
    return bytes(changed)


def _value(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    changed[where] = rng.integers(256)


def _bit(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    changed[where] ^= 1 << int(rng.integers(8))


def _end(changed: bytearray, where: int, _: np.random.Generator) -> None:
    del changed[where:]


def _gap(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    del changed[where : where + int(rng.integers(1, 20))]


def _more(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    changed[where:where] = rng.bytes(int(rng.integers(1, 20)))


def _number(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    size = int(rng.choice((2, 4, 8)))
    value = EXTREMES[rng.integers(len(EXTREMES))] % 2 ** (8 * size)
    changed[where : where + size] = value.to_bytes(size, "little" if rng.random() < 0.8 else "big")


def _copy(changed: bytearray, where: int, rng: np.random.Generator) -> None:
    start = int(len(changed) * rng.random())
    changed[where : where + 16] = changed[start : start + 16]


def _digits(changed: bytearray, _: int, rng: np.random.Generator) -> None:
    numbers = list(re.finditer(rb"\d+", bytes(changed)))
    if numbers:
        start, end = numbers[rng.integers(len(numbers))].span()
        changed[start:end] = str(EXTREMES[rng.integers(len(EXTREMES))]).encode()


WAYS = (_value, _bit, _end, _gap, _more, _number, _copy, _digits)


def spoil(part, rng, odd):
    """Change a value of nested metadata to an odd one, or leave it out, however deep."""
    names = list(part) if isinstance(part, dict) else list(range(len(part)))
    name = names[rng.integers(len(names))]
    if isinstance(part[name], dict | list) and part[name] and rng.random() < 0.7:
        spoil(part[name], rng, odd)
    elif isinstance(part, dict) and rng.random() < 0.15:
        del part[name]
    else:
        part[name] = deepcopy(odd[rng.integers(len(odd))])
