"""Small sets in their real formats."""

from __future__ import annotations

import math
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import zarr

PIXEL_NM = 0.0183


@pytest.fixture(scope="session")
def write_set():
    """Write a simulated set, ``write_set(path, images)``, as the simulate command does."""

    def write(path, images, pixel_size_nm=PIXEL_NM, finished=None, per=1):
        group = zarr.open_group(path, mode="w")
        group.attrs["simulation"] = {"pixel_size_nm": pixel_size_nm, "images_per_structure": per}
        group.attrs["records"] = [{}] * (len(images) if finished is None else finished)
        images = np.asarray(images, np.float16)
        stored = group.create_array("images", shape=images.shape, chunks=(1, *images.shape[1:]), dtype="float16")
        stored[:] = images
        return path

    return write


@pytest.fixture(scope="session")
def lattices():
    """Images of fringes on vacuum, each along its own direction: ``lattices(count, side)``."""

    def make(count: int, side: int = 200, spacing_nm: float = 0.23):
        axis = np.arange(side) * PIXEL_NM
        angles = np.linspace(0.1, 3.0, count)[:, None, None]
        along = np.cos(angles) * axis[None, None, :] + np.sin(angles) * axis[None, :, None]
        return 1 + 0.2 * np.cos(2 * math.pi * along / spacing_nm)

    return make


@pytest.fixture(scope="session")
def send():
    """Send a source as worker processes get it: ``send(source)`` gives what arrives and the bytes it took."""

    def travel(source):
        sent = ForkingPickler.dumps(source)
        return ForkingPickler.loads(sent), len(sent)

    return travel
