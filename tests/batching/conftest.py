"""Small real movies, and jobs on them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import tifffile

from napari_gandenoise.batching import LEDGER, batch
from napari_gandenoise.simulate.samples import sample_movie

PIXEL_NM = 0.00915


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, write_tiny_model):
    """The folder of a model called ``tiny``."""
    return write_tiny_model(tmp_path_factory.mktemp("models"), 4 * PIXEL_NM).parent


@pytest.fixture(autouse=True)
def own_models(tiny, monkeypatch):
    """Let the tests, and the processes they start, find ``tiny`` by its name."""
    monkeypatch.setenv("GANDENOISE_MODELS", str(tiny))


@pytest.fixture(scope="session")
def frames():
    """Five frames of the sample movie's particle."""
    noisy, _ = sample_movie()
    return noisy.pixels[:5, 330:426, 250:346]


@pytest.fixture(scope="session")
def write_movie():
    """Write a movie as ImageJ does, with its pixel size and half a second between frames."""

    def write(path: Path, pixels, **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"unit": "nm", "axes": "TYX" if pixels.ndim == 3 else "YX", "finterval": 0.5}
        resolution = (1 / PIXEL_NM, 1 / PIXEL_NM)
        tifffile.imwrite(path, pixels, imagej=True, resolution=resolution, metadata=metadata, **options)
        return path

    return write


@pytest.fixture
def movie(tmp_path, write_movie, frames):
    return write_movie(tmp_path / "movie.tif", frames)


@pytest.fixture(scope="session")
def digests():
    """Hash every result in a folder, the ledger left out: ``digests(folder)``."""

    def digest(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != LEDGER)
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return digest


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny, write_movie, frames):
    """An uninterrupted job on the movie, for reading only."""
    folder = tmp_path_factory.mktemp("finished")
    movie = write_movie(folder / "movie.tif", frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANDENOISE_MODELS", str(tiny))
        batch(inputs=movie, output=folder / "out", settings={"preset": "fast", "model": "tiny"})
    return folder / "out"


@pytest.fixture
def reference(finished, digests):
    """Digests of an uninterrupted job on the movie."""
    return digests(finished)


@pytest.fixture(scope="session")
def computed_frames():
    """List what the ledger says was computed, in order, repeats too: ``computed_frames(folder)``."""

    def computed(folder: Path) -> list[tuple[str, int]]:
        lines = [json.loads(line) for line in (folder / LEDGER).read_text().splitlines()[1:]]
        done = (line for line in lines if line["event"] == "done")
        return [(line["file"], frame) for line in done for frame in range(line["first"], line["last"])]

    return computed
