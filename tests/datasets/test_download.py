"""Fetching and unpacking: from a real server, whole or not at all, and never outside the folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from napari_gandenoise.datasets.download import BLOCK, REMOTES, Remote, download_steps, unpack_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain


@pytest.fixture
def server(tmp_path):
    """Serve ``tmp_path / "served"``; yields its address."""
    (tmp_path / "served").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def offer(tmp_path, server):
    """Put a file on the server and describe it."""

    def put(name: str, content: bytes) -> Remote:
        (tmp_path / "served" / name).write_bytes(content)
        return Remote(name, f"{server}/{name}", f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}")

    return put


def pack(path, members: dict[str, bytes | str], mode="w:gz"):
    """Write a tar file; a text instead of bytes is where a link points."""
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def test_a_file_arrives_with_progress(tmp_path, offer):
    content = bytes(range(256)) * (BLOCK // 100)
    steps = download_steps(offer("set.tar", content), tmp_path / "new" / "folder")
    events = []
    try:
        while True:
            events.append(next(steps))
    except StopIteration as stop:
        path = stop.value
    assert path == tmp_path / "new" / "folder" / "set.tar"
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["set.tar"]
    assert {(event.stage, event.total) for event in events} == {("prepare", len(content))}
    assert [event.done for event in events] == [BLOCK, 2 * BLOCK, len(content)]


def test_another_file_than_expected_leaves_nothing(tmp_path, offer):
    remote = offer("set.tar", b"good")._replace(known_hash="md5:" + "0" * 32)
    with pytest.raises(GanDenoiseError, match=r"is not set\.tar, its checksum is another") as error:
        drain(download_steps(remote, tmp_path / "folder"))
    assert str(error.value).count(". ") == 0
    assert list((tmp_path / "folder").iterdir()) == []


def test_what_is_not_there_is_said_and_leaves_nothing(tmp_path, offer):
    remote = offer("set.tar", b"good")
    (tmp_path / "served" / "set.tar").unlink()
    with pytest.raises(GanDenoiseError, match=r"set\.tar could not be fetched .* 404"):
        drain(download_steps(remote, tmp_path / "folder"))
    with pytest.raises(GanDenoiseError, match="could not be fetched"):
        drain(download_steps(remote._replace(url="http://127.0.0.1:1/set.tar"), tmp_path / "folder"))
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_cancelled_download_leaves_nothing(tmp_path, offer):
    steps = download_steps(offer("set.tar", bytes(3 * BLOCK)), tmp_path / "folder")
    next(steps)
    steps.close()
    assert list((tmp_path / "folder").iterdir()) == []


def test_every_remote_has_a_checksum():
    for remote in REMOTES.values():
        algorithm, digest = remote.known_hash.split(":")
        assert len(bytes.fromhex(digest)) == hashlib.new(algorithm, usedforsecurity=False).digest_size
        assert remote.url.startswith("https://")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_wanted_files_are_unpacked_and_no_other(tmp_path, mode):
    archive = pack(tmp_path / "set.tgz", {"set/a.jpg": b"A", "set/deep/b.jpg": b"B", "set/notes.txt": b"C"}, mode)
    events = list(unpack_steps(archive, tmp_path / "out", lambda name: name.suffix == ".jpg"))
    files = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert files == {"set/a.jpg": b"A", "set/deep/b.jpg": b"B"}
    assert len(events) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "set.tgz"]


@pytest.mark.parametrize(
    "name", ["../escaped.jpg", "set/../../escaped.jpg", "/tmp/escaped.jpg", "..\\escaped.jpg", "set/c:escaped.jpg"]
)
def test_an_archive_that_would_write_outside_its_folder_is_refused(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = pack(inside / "set.tgz", {"set/a.jpg": b"A", name: b"B"})
    with pytest.raises(GanDenoiseError, match="outside its folder"):
        drain(unpack_steps(archive, inside / "out", lambda _: True))
    assert [entry.name for entry in inside.iterdir()] == ["set.tgz"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["inside"]


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_text("mine")
    archive = pack(tmp_path / "set.tgz", {"out": "..", "out/secret": b"overwritten", "b": str(tmp_path / "secret")})
    drain(unpack_steps(archive, tmp_path / "out", lambda _: True))
    assert (tmp_path / "secret").read_text() == "mine"
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("damage", ["cut", "no tar", "nothing wanted"])
def test_a_damaged_archive_leaves_nothing(tmp_path, rng, damage):
    archive = pack(tmp_path / "set.tgz", {"a.jpg": rng.bytes(20_000)})
    if damage == "cut":
        archive.write_bytes(archive.read_bytes()[:10_000])
    elif damage == "no tar":
        archive.write_bytes(b"hello" * 100)
    with pytest.raises(GanDenoiseError, match=r"set\.tgz (is damaged|does not hold)"):
        drain(unpack_steps(archive, tmp_path / "out", lambda _: damage != "nothing wanted"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.tgz"]
