"""The peer for movies: the unsupervised video denoiser of the group behind the microscopy study, UDVD-MF.

Its repository names no licence, so that nothing of it is copied or shipped.  It is fetched onto the machine that
measures, into the folder of `benchmarks.peer`, and runs in an environment of its own by its own script, which
trains on the movie itself (5 frames, a blind spot) and then denoises it.

D. Y. Sheth et al., "Unsupervised deep video denoising", Proc. ICCV (2021) 1759; https://doi.org/10.5281/zenodo.14630448.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.peer import made_environment, peer_folder, run_quietly

__all__ = ["Trained", "train_and_denoise"]

REPOSITORY = "https://github.com/crozier-del/UDVD-MF-Denoising"
COMMIT = "c465201"  # 2025-05
FILES = ("denoise_mf.py", "data.py", "models/*.py", "utils/*.py")  # but for its weights, which are pickled
PACKAGES = ("torch==2.13.0", "opencv-python-headless", "h5py", "pandas", "requests", "scikit-image", "tifffile",
            "matplotlib", "tqdm")  # fmt: skip
# Only transforms of images are used of it; later ones do not load beside a torch that they were not built for.
ALONE = ("torchvision==0.16.2",)


class Trained(NamedTuple):
    """What the peer made of a movie.

    Attributes
    ----------
    movie : ndarray
        ``(T, Y, X)`` float32, in the units of the movie given.
    processor_seconds : float
        Of all that its script does.
    """

    movie: NDArray[np.float32]
    processor_seconds: float


def train_and_denoise(movie: NDArray[np.generic], epochs: int, folder: Path | None = None) -> Trained:
    """Train the peer on a movie ``(T, Y, X)`` for so many epochs, 50 by its own default, and denoise that.

    Raises
    ------
    GanDenoiseError
        If the peer cannot be had here, or it fails.
    """
    folder = folder or peer_folder()
    python, checkout = made_environment(folder / "video-venv", PACKAGES, ALONE), _checkout(folder / "udvd-mf")
    with tempfile.TemporaryDirectory() as scratch:
        noisy, result = Path(scratch) / "movie.tif", Path(scratch) / "result"
        tifffile.imwrite(noisy, movie)
        before = os.times()
        command = [str(python), str(checkout / "denoise_mf.py"), "--data", str(noisy), "--output-file", str(result)]
        run_quietly([*command, "--num-epochs", str(epochs)], "UDVD-MF failed", checkout)
        after = os.times()
        seconds = sum(after[2:4]) - sum(before[2:4])  # of children that have ended
        return Trained(np.load(result.with_suffix(".npy")), seconds)


def _checkout(folder: Path) -> Path:
    """Return the folder of the peer's code, fetched if it is not there."""
    if not (folder / FILES[0]).exists():
        fetched = "UDVD-MF could not be fetched"
        run_quietly(["git", "clone", "--quiet", "--no-checkout", REPOSITORY, str(folder)], fetched)
        run_quietly(["git", "checkout", "--quiet", COMMIT, "--", *FILES], fetched, folder)
    return folder
