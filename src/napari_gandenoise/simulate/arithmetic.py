"""Products of complex numbers that are the same, bit by bit, on any number of a processor's threads."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["product"]


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply complex tensors that broadcast.

    PyTorch's own product rounds the last few numbers of each thread's share in another way than the rest.
    """
    real = a.real * b.real - a.imag * b.imag
    return torch.complex(real, a.real * b.imag + a.imag * b.real)
