"""Public sets in their original formats, as small files that are written here."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_gandenoise.datasets.download import Remote
from napari_gandenoise.datasets.public import MNIST_FILE, prepare_public_steps
from napari_gandenoise.datasets.sources import open_source, prepare_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.data import PublicData

ALL = slice(None), slice(None)


def idx(images, magic=0x803) -> bytes:
    return struct.pack(">4I", magic, *images.shape) + images.tobytes()


def archive(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def records(rng, count: int, labels: int):
    """Records of the binary version and the images in them."""
    images = rng.integers(0, 256, (count, 3, 32, 32), np.uint8)
    marks = rng.integers(0, 10, (count, labels), np.uint8)
    return np.concatenate([marks, images.reshape(count, -1)], axis=1).tobytes(), images


@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
@pytest.mark.parametrize("compressed", [True, False])
def test_mnist_is_framed_to_32_pixels(tmp_path, rng, send, compressed, folder):
    digits = rng.integers(0, 256, (5, 28, 28), np.uint8)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = tmp_path / folder / (MNIST_FILE + ".gz" * compressed)
    path.write_bytes(gzip.compress(idx(digits)) if compressed else idx(digits))
    data = PublicData(kind="mnist", path=tmp_path)
    assert list(prepare_steps(data)) == []
    source = open_source(data)
    assert (len(source), source.channels, source.shape(3), source.pixel_size_nm) == (5, 1, (32, 32), None)
    image = source.read(3, *ALL)
    np.testing.assert_allclose(image[0, 2:-2, 2:-2], digits[3] / 255, atol=1e-6)
    assert image.sum() == pytest.approx(digits[3].sum() / 255, rel=1e-4)
    np.testing.assert_array_equal(source.read(3, slice(4, 9), slice(20, 32)), image[:, 4:9, 20:32])
    arrived, size = send(source)
    assert size < 1000
    np.testing.assert_array_equal(arrived.read(3, *ALL), image)


HOSTILE = {
    "empty": b"",
    "short header": idx(np.zeros((2, 28, 28), np.uint8))[:10],
    "labels": struct.pack(">2I", 0x801, 100) + bytes(100),
    "other magic": idx(np.zeros((2, 28, 28), np.uint8), magic=0xD03),
    "other sides": idx(np.zeros((2, 30, 28), np.uint8)),
    "cut": idx(np.zeros((2, 28, 28), np.uint8))[:-1],
    "huge claim": struct.pack(">4I", 0x803, 2**32 - 1, 28, 28),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_idx_file_that_is_none_is_refused(tmp_path, content):
    (tmp_path / MNIST_FILE).write_bytes(content)
    with pytest.raises(GanDenoiseError, match=r"is no IDX file of 28×28|does not hold the 2 images"):
        open_source(PublicData(kind="mnist", path=tmp_path))


@pytest.mark.parametrize("damage", ["cut", "not gzip", "altered"])
def test_a_damaged_gzip_file_is_refused(tmp_path, rng, damage):
    whole = gzip.compress(idx(rng.integers(0, 256, (9, 28, 28), np.uint8)))
    altered = whole[:2000] + bytes(50) + whole[2050:]
    content = {"cut": whole[:-2000], "not gzip": b"plain text", "altered": altered}[damage]
    (tmp_path / f"{MNIST_FILE}.gz").write_bytes(content)
    with pytest.raises(GanDenoiseError, match=r"cannot be read|no IDX file"):
        open_source(PublicData(kind="mnist", path=tmp_path))


@pytest.mark.parametrize(("kind", "labels"), [("cifar10", 1), ("cifar100", 2)])
def test_cifar_is_read_from_its_binary_archive(tmp_path, rng, send, kind, labels):
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if kind == "cifar10" else ["train.bin"]
    parts = [records(rng, 3 + i, labels) for i in range(len(names))]
    files = {f"{kind}-folder/{name}": part[0] for name, part in zip(names, parts, strict=True)}
    name = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}[kind]
    archive(tmp_path / name, {**files, f"{kind}-folder/test_batch.bin": b"not these"})
    data = PublicData(kind=kind, path=tmp_path)
    events = list(prepare_steps(data))
    assert len(events) == len(names)
    assert list(prepare_steps(data)) == []
    source = send(open_source(data))[0]
    images = np.concatenate([part[1] for part in parts])
    assert (len(source), source.channels, source.shape(0)) == (len(images), 3, (32, 32))
    for i, image in enumerate(images):
        np.testing.assert_allclose(source.read(i, *ALL), image / 255, atol=1e-6)
    np.testing.assert_allclose(source.read(1, slice(0, 8), slice(5, 9)), images[1, :, :8, 5:9] / 255, atol=1e-6)


def test_an_archive_is_unpacked_when_it_is_opened_unprepared(tmp_path, rng):
    content, _ = records(rng, 4, 2)
    archive(tmp_path / "cifar-100-binary.tar.gz", {"cifar-100-binary/train.bin": content})
    assert len(open_source(PublicData(kind="cifar100", path=tmp_path))) == 4


def test_cifar_that_ends_within_a_record_is_refused(tmp_path, rng):
    content, _ = records(rng, 4, 2)
    (tmp_path / "train.bin").write_bytes(content[:-1])
    with pytest.raises(GanDenoiseError, match=r"train\.bin is damaged"):
        open_source(PublicData(kind="cifar100", path=tmp_path))


@pytest.mark.parametrize(("kind", "name"), [("cifar10", "cifar-10-python.tar.gz"), ("cifar10", "a/data_batch_1")])
def test_pickles_are_not_opened(tmp_path, kind, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return open, (str(marker), "w")

    (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(GanDenoiseError, match=r"pickles could run code .*/cifar-10-binary\.tar\.gz"):
        drain(prepare_steps(PublicData(kind=kind, path=tmp_path)))
    assert not marker.exists()


@pytest.mark.parametrize(("kind", "shape"), [("celeba", (218, 178)), ("lfw", (250, 250))])
def test_faces_are_the_middle_square_at_64_pixels(tmp_path, kind, shape):
    height, width = shape
    y, x = np.mgrid[:height, :width]
    # Green inside the central square, red above and below it; blue grows to the right.
    inside = abs(y - (height - 1) / 2) < width / 2
    face = np.stack([255 * ~inside, 200 * inside, x], -1).astype(np.uint8)
    (tmp_path / "someone").mkdir()
    imageio.imwrite(tmp_path / "someone" / "0001.jpg", face, quality=98)
    data = PublicData(kind=kind, path=tmp_path)
    assert list(prepare_steps(data)) == []
    source = open_source(data)
    assert (len(source), source.channels, source.shape(0)) == (1, 3, (64, 64))
    image = source.read(0, *ALL)
    assert image.dtype == np.float32
    assert image[0, 2:-2].max() < 0.05
    np.testing.assert_allclose(image[1, 2:-2], 200 / 255, atol=0.03)
    expected = (np.arange(64) + 0.5) * width / 64 / 255
    np.testing.assert_allclose(image[2, 32], expected, atol=0.03)


def test_faces_can_be_unpacked_from_their_archive(tmp_path):
    face = imageio.imwrite("<bytes>", np.full((250, 250, 3), 90, np.uint8), extension=".jpg")
    archive(tmp_path / "lfw-funneled.tgz", {"lfw_funneled/A/A_0001.jpg": face, "lfw_funneled/pairs.txt": b"-"})
    data = PublicData(kind="lfw", path=tmp_path)
    drain(prepare_steps(data))
    assert len(open_source(data)) == 1


def test_coco_is_a_folder_of_colour_images_without_the_smallest(tmp_path, rng):
    for name, shape in {"a": (200, 300, 3), "b": (60, 300, 3), "c": (180, 170)}.items():
        imageio.imwrite(tmp_path / f"{name}.jpg", rng.integers(0, 256, shape, np.uint8))
    source = open_source(PublicData(kind="coco", path=tmp_path))
    assert (len(source), source.channels) == (2, 3)
    assert [source.shape(i) for i in range(2)] == [(200, 300), (180, 170)]


@pytest.mark.parametrize("kind", ["mnist", "cifar10", "cifar100", "celeba", "lfw", "coco"])
def test_what_is_missing_is_named_with_its_address(tmp_path, kind):
    with pytest.raises(GanDenoiseError, match="https://") as error:
        drain(prepare_steps(PublicData(kind=kind, path=tmp_path / "nowhere")))
    assert ("set download" in str(error.value)) == (kind not in ("celeba", "coco"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["celeba", "coco"])
def test_what_may_not_be_fetched_is_not_fetched(tmp_path, kind):
    with pytest.raises(GanDenoiseError, match="unpack"):
        drain(prepare_steps(PublicData(kind=kind, path=tmp_path, download=True)))


def test_a_set_is_fetched_unpacked_and_then_left_alone(tmp_path, rng):
    content, images = records(rng, 4, 2)
    archive(tmp_path / "elsewhere.tar.gz", {"cifar-100-binary/train.bin": content})
    packed = (tmp_path / "elsewhere.tar.gz").read_bytes()
    remotes = {
        "cifar100": Remote(
            "cifar-100-binary.tar.gz",
            (tmp_path / "elsewhere.tar.gz").as_uri(),
            f"sha256:{hashlib.sha256(packed).hexdigest()}",
        )
    }
    data = PublicData(kind="cifar100", path=tmp_path / "set", download=True)
    assert list(prepare_public_steps(data, remotes))
    assert list(prepare_public_steps(data, {})) == []
    np.testing.assert_allclose(open_source(data).read(3, *ALL), images[3] / 255, atol=1e-6)
