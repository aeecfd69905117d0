"""The peer's files: known ones only, without its code, and turned as it turns them; its networks where they are."""

from __future__ import annotations

import hashlib
import io
import tarfile

import h5py
import numpy as np
import pytest

from benchmarks import peer
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """A source distribution with one test file, one network and some code, whose hash is the known one."""
    random = np.random.default_rng(0)
    pairs = {key: random.uniform(0, 6e4, (3, 1, 5, 7)).astype(np.float32) for key in "xy"}
    pairs["x"][2] = pairs["y"][2]  # without any noise
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for key, images in pairs.items():
            file[key] = images
    archive = tmp_path / peer.SDIST
    files = {"test_data/sfr_hrsem.h5": stored.getvalue(), "models/sfr_hrsem/saved_model.pb": b"", "tk_r_em.py": b"1/0"}
    with tarfile.open(archive, "w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(f"tk_r_em-1.0.4/tk_r_em/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(peer, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    return tmp_path, pairs


def test_only_weights_and_test_images_are_unpacked(distribution):
    folder, _ = distribution

    unpacked = peer.sources(folder)

    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert names == {"test_data/sfr_hrsem.h5", "models/sfr_hrsem/saved_model.pb"}
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["tk_r_em-1.0.4"]


def test_an_unknown_file_is_not_unpacked(distribution):
    folder, _ = distribution
    with (folder / peer.SDIST).open("ab") as archive:
        archive.write(b"more")

    with pytest.raises(GanDenoiseError, match="not the source distribution that is known"):
        peer.sources(folder)

    assert not any(path.is_dir() for path in folder.iterdir())


def test_images_are_turned_from_columns_to_rows_and_pairs_without_noise_left_out(distribution):
    folder, pairs = distribution

    noisy, clean = peer.read_pairs("HRSEM", folder)

    assert noisy.shape == clean.shape == (2, 7, 5)
    assert noisy[1, 6, 2] == pairs["x"][1, 0, 2, 6]
    assert clean[0, 3, 4] == pairs["y"][0, 0, 4, 3]


def test_the_folder_is_the_users_choice_and_never_in_the_repository(monkeypatch, tmp_path):
    monkeypatch.setenv(peer.PLACE, str(tmp_path))
    assert peer.peer_folder() == tmp_path

    monkeypatch.delenv(peer.PLACE)
    assert not peer.peer_folder().is_relative_to(peer.ROOT)


@pytest.mark.slow
def test_without_an_index_a_sentence_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(GanDenoiseError, match="could not be downloaded"):
        peer.sources(tmp_path)
    with pytest.raises(GanDenoiseError, match=r"tensorflow-cpu.* could not be installed"):
        peer.environment(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not (peer.peer_folder() / "venv" / "ready").exists(), reason="the peer is not on this machine")
def test_the_peer_restores_scans_that_run_along_x():
    noisy, clean = (images[2:3] for images in peer.read_pairs("HRSTEM"))

    along = peer.restore("sfr_hrstem", noisy)
    across = peer.restore("sfr_hrstem", noisy.transpose(0, 2, 1)).images.transpose(0, 2, 1)

    span = float(np.ptp(clean))
    seen, turned, raw = (psnr(clean, images, span) for images in (along.images, across, noisy))
    assert seen > turned > raw
    assert len(along.seconds) == 1
    assert along.seconds[0] > 0
    assert 0.1 < along.peak_gb < 64
