"""Original files of public data sets: fetched with a known checksum, and unpacked without trusting the archive."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pooch

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.names import check_name

__all__ = ["REMOTES", "Remote", "download_steps", "unpack_steps"]

BLOCK = 2**20  # bytes between two events
PATIENCE = 30  # seconds without an answer


class Remote(NamedTuple):
    """A file to fetch: its name, where it lies, and its hash as ``algorithm:digest``."""

    name: str
    url: str
    known_hash: str


# MNIST: a mirror of LeCun's files, with the checksums that torchvision.datasets.MNIST lists for them.
# CIFAR: the authors' page, https://www.cs.toronto.edu/~kriz/cifar.html, which states the checksums.
# LFW: the mirror and checksum of sklearn.datasets.fetch_lfw_people (the authors' own server is gone).
REMOTES: Mapping[str, Remote] = {
    "mnist": Remote(
        "train-images-idx3-ubyte.gz",
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
        "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ),
    "cifar10": Remote(
        "cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "cifar100": Remote(
        "cifar-100-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "md5:03b5dce01913d631647c71ecec9e9cb8",
    ),
    "lfw": Remote(
        "lfw-funneled.tgz",
        "https://ndownloader.figshare.com/files/5976015",
        "sha256:b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
    ),
}


def download_steps(remote: Remote, folder: Path) -> Steps[Path]:
    """Fetch a file, whole and with the right checksum or not at all.

    Parameters
    ----------
    remote : Remote
        What to fetch.
    folder : pathlib.Path
        Where to put it; made if need be.

    Yields
    ------
    Progress
        Stage "prepare", bytes fetched.

    Raises
    ------
    GanDenoiseError
        If it cannot be fetched, or is another file than expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / remote.name
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{remote.name}.", delete=False) as file:
        part = Path(file.name)
    try:
        with (
            _no_connection(remote),
            urllib.request.urlopen(remote.url, timeout=PATIENCE) as answer,
            part.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(BLOCK):
                file.write(block)
                yield Progress("prepare", file.tell(), max(total, file.tell()))
        if not pooch.hashes.hash_matches(str(part), remote.known_hash):
            raise GanDenoiseError(
                f"What {remote.url} sent is not {remote.name}, its checksum is another: try again later, or put the "
                f"original file into {folder}."
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def unpack_steps(archive: Path, folder: Path, wanted: Callable[[PurePosixPath], bool]) -> Steps[None]:
    """Unpack the plain files of a tar archive that are wanted; the folder appears when all of them are there.

    Parameters
    ----------
    archive : pathlib.Path
        Tar file, compressed or not.
    folder : pathlib.Path
        Folder to make, which holds the files under their names in the archive.
    wanted : callable
        Says of a name whether to unpack it.

    Raises
    ------
    GanDenoiseError
        If the archive is damaged, would write outside the folder, or holds nothing that is wanted.
    """
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    size = archive.stat().st_size
    try:
        with archive.open("rb") as raw, _no_archive(archive), tarfile.open(fileobj=raw, mode="r:*") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if name.is_absolute() or not all(map(_is_name, name.parts)):
                    raise GanDenoiseError(f"{archive} would write to {member.name}, outside its folder: do not use it.")
                content = tar.extractfile(member) if member.isfile() and wanted(name) else None
                if content is None:  # links among others: nothing is followed
                    continue
                target = unfinished / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)
                yield Progress("prepare", min(raw.tell(), size), size)
        if not any(unfinished.iterdir()):
            raise GanDenoiseError(f"{archive} does not hold the files it should: replace it by the original.")
        os.chmod(unfinished, 0o755)  # noqa: PTH101 - mkdtemp keeps it to its owner
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_name(part: str) -> bool:
    """Whether a part of a path is a name on every system: on Windows it may be a path of its own."""
    try:
        return ":" not in check_name(part)
    except ValueError:
        return False


@contextmanager
def _no_connection(remote: Remote) -> Iterator[None]:
    try:
        yield
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise GanDenoiseError(f"{remote.name} could not be fetched from {remote.url}: {error}.") from error


@contextmanager
def _no_archive(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, GanDenoiseError):
            raise
        raise GanDenoiseError(f"{archive} is damaged or no tar archive ({error}): fetch it again.") from error
