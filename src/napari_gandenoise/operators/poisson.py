"""Poisson blending: keep the gradients of what is drawn, and the values of what is around it.

Pérez, Gangnet, Blake, "Poisson image editing", ACM Trans. Graph. 22 (2003) 313, equations 7 and 8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

__all__ = ["poisson_blend"]

_LOW, _HIGH, _ALL = slice(None, -1), slice(1, None), slice(None)
# All pixels that have a neighbour below, above, right or left, and these neighbours.
NEIGHBOURS = (
    ((_LOW, _ALL), (_HIGH, _ALL)),
    ((_HIGH, _ALL), (_LOW, _ALL)),
    ((_ALL, _LOW), (_ALL, _HIGH)),
    ((_ALL, _HIGH), (_ALL, _LOW)),
)


def poisson_blend(
    known: NDArray[np.floating[Any]], drawn: NDArray[np.floating[Any]], hole: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Fill a hole so that its gradients are those of the drawn image and it meets its rim.

    Parameters
    ----------
    known, drawn : ndarray
        ``(Y, X)`` or ``(Y, X, C)``; what is known in the hole is ignored.
    hole : ndarray of bool
        ``(Y, X)``, not everywhere true.

    Returns
    -------
    ndarray
        Shape of ``known``; outside of the hole its very values.
    """
    if not hole.any():
        return known.astype(np.float32)
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    images = [np.atleast_3d(image).astype(np.float64) for image in (known, drawn)]
    rows, columns = [], []
    neighbours, sides = np.zeros(hole.sum()), np.zeros((hole.sum(), images[0].shape[2]))
    for here, there in NEIGHBOURS:
        wanted = hole[here]
        own, other = number[here][wanted], number[there][wanted]
        neighbours += np.bincount(own, minlength=len(neighbours))
        both = other >= 0
        rows.append(own[both])
        columns.append(other[both])
        # On the rim the neighbour is known; everywhere the difference to it is that of the drawn image.
        side = images[1][here][wanted] - images[1][there][wanted]
        side[~both] += images[0][there][wanted][~both]
        np.add.at(sides, own, side)
    pairs = (np.concatenate(rows), np.concatenate(columns))
    laplacian = sparse.diags(neighbours) - sparse.coo_matrix((np.ones(len(pairs[0])), pairs), [len(neighbours)] * 2)
    filled = images[0].copy()
    filled[hole] = spsolve(laplacian.tocsc(), sides).reshape(sides.shape)
    return filled.reshape(known.shape).astype(np.float32)
