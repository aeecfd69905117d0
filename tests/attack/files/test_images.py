"""Mutated image files, and arrays that no camera makes."""

from __future__ import annotations

import shutil
import warnings

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from tests.attack.files.mutations import mutated
from tests.io.test_microscope import WRITERS, write_mib

import napari_gandenoise as gd
from napari_gandenoise.batching.inputs import read_frame
from napari_gandenoise.io import read_micrograph, write_tiff

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def write_pictures(folder, rng):
    grey, colour = rng.integers(255, size=(24, 20), dtype="u1"), rng.integers(255, size=(24, 20, 3), dtype="u1")
    imageio.imwrite(folder / "grey.png", grey)
    imageio.imwrite(folder / "sixteen.png", grey.astype("u2") * 200)
    imageio.imwrite(folder / "colour.png", colour)
    imageio.imwrite(folder / "grey.jpg", grey)
    imageio.imwrite(folder / "colour.bmp", colour)
    imageio.imwrite(folder / "colour.jpg", colour)
    Image.fromarray(colour).quantize(8).save(folder / "palette.png")


def write_tiffs(folder, rng):
    counts = rng.poisson(5, (3, 24, 20)).astype("u2")
    tifffile.imwrite(folder / "plain.tif", counts[0], metadata=None)
    tifffile.imwrite(folder / "big.tif", counts, bigtiff=True, byteorder=">", photometric="minisblack")
    for compression in ("zlib", "lzw", "packbits"):
        tifffile.imwrite(folder / f"{compression}.tif", counts, compression=compression, photometric="minisblack")
    tifffile.imwrite(folder / "tiled.tif", counts[0], tile=(16, 16), compression="zlib")
    tifffile.imwrite(folder / "imagej.tif", counts, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(folder / "strips.tif", counts, rowsperstrip=1, photometric="minisblack", metadata={"axes": "TYX"})
    scan = "[Scan]\r\nPixelWidth=2e-11\r\nPixelHeight=2e-11\r\n"
    tifffile.imwrite(folder / "fei.tif", counts[0], extratags=[(34682, 2, 0, scan, True)], metadata=None)
    zeiss = "0\r\n0\r\n0\r\n2e-11\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 20 pm\r\n"
    palette = rng.integers(2**16, size=(3, 256), dtype="u2")
    tags = {"extratags": [(34118, 2, 0, zeiss, True)], "photometric": "palette", "colormap": palette}
    tifffile.imwrite(folder / "zeiss.tif", counts[0].astype("u1"), **tags)
    tifffile.imwrite(folder / "white.tif", counts, photometric="miniswhite", compression="zlib")
    np.save(folder / "array.npy", counts)
    write_tiff(folder / "ours.tif", counts, pixel_size_nm=0.02)
    write_tiff(folder / "ours.ome.tif", counts, pixel_size_nm=0.02)
    write_tiff(folder / "colour.ome.tif", rng.random((9, 8, 3)), axes="YXS")


@pytest.fixture
def files(tmp_path, rng):
    """A few of every kind."""
    folder = tmp_path / "sound"
    folder.mkdir()
    write_pictures(folder, rng)
    write_tiffs(folder, rng)
    for name, write in (WRITERS | {"a.mib": write_mib}).items():
        for frames, pixels in enumerate((rng.integers(900, size=(20, 24)), rng.integers(900, size=(3, 20, 24)))):
            write(folder / f"{frames}-{name}", pixels.astype("u2"))
    return sorted(folder.iterdir())


def look(path, lazy):
    """Open a file and read its first and last frame, as a batch does."""
    micrograph = read_micrograph(path, lazy=lazy)
    for index in {0, micrograph.frames - 1}:
        assert read_frame(micrograph, index).size > 0


def test_mutated_image_files(tmp_path, files, rng, attacks, trial):
    for path in files:  # what is imported on the way is imported now
        look(path, False)
        look(path, True)
    contents = {path: path.read_bytes() for path in files}
    for number in range(attacks):
        sound = files[rng.integers(len(files))]
        path = tmp_path / sound.name
        path.write_bytes(mutated(contents[sound], rng))
        with trial(f"{number}: {sound.name}"):
            look(path, bool(rng.integers(2)))


@pytest.mark.parametrize("version", [2, 3])
def test_mutated_zarr_folders(tmp_path, rng, attacks, trial, version):
    sound = tmp_path / "sound.zarr"
    group = zarr.create_group(sound, zarr_format=version, attributes={"multiscales": [{
        "axes": [{"name": "t", "type": "time", "unit": "second"}, {"name": "y", "unit": "nanometer"},
                 {"name": "x", "unit": "nanometer"}],
        "datasets": [{"path": "0", "coordinateTransformations": [
            {"type": "scale", "scale": [1, 0.02, 0.02]}]}]}]})  # fmt: skip
    group.create_array("0", data=rng.integers(900, size=(3, 20, 24), dtype="u2"), chunks=(1, 20, 24))
    look(sound, True)
    names = [path.relative_to(sound) for path in sound.rglob("*") if path.is_file()]
    path = tmp_path / "x.zarr"
    for number in range(attacks // 4):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(sound, path)
        name = names[rng.integers(len(names))]
        (path / name).write_bytes(mutated((sound / name).read_bytes(), rng))
        with trial(f"{number}: {name}"):
            look(path, bool(rng.integers(2)))


TYPES = ("u1", "i1", "u2", ">u2", "i4", "u8", "i8", "f2", "f4", ">f4", "f8", "?", "c8", "O", "U3", "M8[s]")
VALUES = (0, 1, -1, 255, 1e-30, 1e30, -1e30, np.nan, np.inf, -np.inf, 65504, 2.0**63)


def odd_array(rng):
    """Make an array that is odd in its shape, type, values or layout in memory."""
    shape = [int(rng.choice((0, 1, 2, 3, 7, 16, 33, 64))) for _ in range(rng.choice((0, 1, 2, 2, 2, 2, 3, 4)))]
    if len(shape) > 2:  # a long movie takes as long as it takes
        shape = [min(side, 20) for side in shape]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = rng.poisson(rng.choice((0.01, 1, 100)), shape).astype("f8")
        flat = pixels.reshape(-1)
        if flat.size and rng.random() < 0.5:
            few = rng.random(flat.size) < rng.choice((0.02, 0.5, 1))
            flat[few] = rng.choice(VALUES)
        pixels = pixels.astype(str(rng.choice(TYPES)))
    if pixels.ndim == 2 and rng.random() < 0.3:
        pixels = (pixels.T, pixels[::-1], pixels[:, ::2], np.asfortranarray(pixels))[rng.integers(4)]
    return pixels


def test_odd_arrays(tmp_path, write_direct_model, rng, attacks, trial):
    model = str(write_direct_model(tmp_path, pixel_size_nm=None, intensity="standard"))
    for number in range(attacks // 3):
        pixels = odd_array(rng)
        before = pixels.copy()
        with trial(f"{number}: {pixels.dtype} {pixels.shape}"):
            rate = np.asarray(gd.denoise(pixels, model=model, preset="fast", device="cpu").rate)
            # A channel of its own, or a movie of one frame, is an image.
            rate, seen = rate.squeeze(), pixels.squeeze()
            assert rate.shape == seen.shape
            # Pixels without a value may have none afterwards.
            assert np.isfinite(rate[np.isfinite(seen.astype("f8"))]).all()
        assert pixels.tobytes() == before.tobytes()
