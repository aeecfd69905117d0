"""What may be written, at every door: never an input, whatever links lead there, and not where nothing can be."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_gandenoise import cli
from napari_gandenoise import manifest as commands
from napari_gandenoise.batching import batch
from napari_gandenoise.comparison import compare
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import check_outputs, read_micrograph
from napari_gandenoise.widgets.training.layers import write_layers
from napari_gandenoise.writing import check_writable, refuse_inputs


def hard_link(image: Path, other: Path) -> Path:
    other.hardlink_to(image)
    return other


def soft_link(image: Path, other: Path) -> Path:
    other.symlink_to(image)
    return other


def by_a_folder(image: Path, other: Path) -> Path:
    folder = other.with_suffix("")
    folder.symlink_to(image.parent, target_is_directory=True)
    return folder / image.name


def by_dots(image: Path, other: Path) -> Path:
    return image.parent / "." / ".." / image.parent.name / image.name


WAYS = (hard_link, soft_link, by_a_folder, by_dots)


@pytest.fixture
def image(tmp_path, rng):
    path = tmp_path / "in" / "image.tif"
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, rng.poisson(20, (40, 40)).astype(np.uint16))
    return path


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "in" / "mask.tif"
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, np.eye(40, dtype=np.uint8))
    return path


@pytest.fixture
def call(monkeypatch, capsys):
    """Call the command line: ``call(*words)`` gives what it says."""

    def main(*words):
        monkeypatch.setattr("sys.argv", ["napari-gandenoise", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        return capsys.readouterr().err

    return main


@pytest.mark.parametrize("way", WAYS)
def test_an_output_that_is_the_input_is_refused_whatever_leads_there(tmp_path, image, way):
    before = image.read_bytes()
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        check_outputs([way(image, tmp_path / "other.tif")], [image], True, "")
    assert image.read_bytes() == before
    check_outputs([tmp_path / "new.tif"], [image], False, "")


def test_a_copy_is_another_file(tmp_path, image):
    copy = Path(shutil.copyfile(image, tmp_path / "copy.tif"))
    check_outputs([copy], [image], True, "")


def test_what_holds_an_input_is_not_replaced(tmp_path):
    inner = tmp_path / "movie.ome.zarr" / "0"
    inner.mkdir(parents=True)
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        refuse_inputs([tmp_path / "movie.ome.zarr"], [inner])
    refuse_inputs([tmp_path / "other.ome.zarr"], [inner])


def test_plugin_commands_replace_neither_image_nor_mask(image, mask):
    before = image.read_bytes(), mask.read_bytes()
    layer = Image(tifffile.imread(image))
    layer._source = layer.source.model_copy(update={"path": str(image)})
    for command, given, output, more in (
        (commands.denoise, image, image, {}),
        (commands.denoise, read_micrograph(image.with_name("movie.tif"), lazy=True), image.with_name("movie.tif"), {}),
        (commands.denoise, layer, image, {}),
        (commands.restore, image, image, {}),
        (commands.restore, image, mask, {"mask": mask}),
        (commands.recover, image, mask, {"mask": str(mask)}),
    ):
        with pytest.raises(GanDenoiseError, match="is the input itself"):
            command(given, output, {"task": "inpaint"} if more else None, overwrite=True, **more)
    assert (image.read_bytes(), mask.read_bytes()) == before


@pytest.fixture(autouse=True)
def movie(tmp_path, rng):
    """A movie that lies open as a memory map."""
    (tmp_path / "in").mkdir(exist_ok=True)
    tifffile.imwrite(
        tmp_path / "in" / "movie.tif",
        rng.poisson(20, (5, 40, 40)).astype(np.uint16),
        imagej=True,
        metadata={"axes": "TYX"},
    )


def test_the_command_line_replaces_neither_image_nor_mask_nor_truth(tmp_path, image, mask, call):
    before = image.read_bytes(), mask.read_bytes()
    other = tmp_path / "out.tif"
    for words in (
        ("denoise", image, image),
        ("denoise", image, other, "--fit-map", image),
        ("restore", image, mask, "--mask", mask, "--task", "inpaint"),
        ("restore", image, other, "--mask", mask, "--drawn", mask, "--task", "inpaint"),
        ("recover", image, mask, "--mask", mask),
    ):
        assert "is the input itself" in call(*words, "--overwrite")
    flat = Path(shutil.copyfile(image, tmp_path / "flat.tif"))
    words = ("compare", image, "--truth", flat, "--output", tmp_path, "--methods", "flat", "--overwrite")
    assert "is the input itself" in call(*words)
    assert (image.read_bytes(), mask.read_bytes(), flat.read_bytes()) == (*before, before[0])


def test_layers_are_not_trained_on_in_the_place_of_their_own_files(tmp_path, rng):
    path = tmp_path / "layer-00-0.tif"
    tifffile.imwrite(path, rng.poisson(20, (40, 40)).astype(np.uint16))
    before = path.read_bytes()
    layer = Image(tifffile.memmap(path, mode="r"))
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        write_layers([layer], tmp_path)
    assert path.read_bytes() == before


def test_a_comparison_knows_what_it_was_made_of(tmp_path, image):
    flat = Path(shutil.copyfile(image, tmp_path / "flat.tif"))
    result = compare(image, methods=("flat",), truth=flat)
    before = flat.read_bytes()
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        result.write(tmp_path, overwrite=True)
    with pytest.raises(GanDenoiseError, match="is the input itself"):
        result.write_csv(image)
    assert flat.read_bytes() == before
    assert result.write(tmp_path / "out") == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that nobody can write to, root neither")
def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(image, call):
    with pytest.raises(GanDenoiseError, match="Nothing can be written to /proc"):
        check_writable(Path("/proc/new/folder"))
    assert "Nothing can be written to /proc" in call("denoise", image, "/proc/out.tif")
    assert "Nothing can be written to /proc" in call("compare", image, "--output", "/proc/out")
    assert "Nothing can be written to /proc" in call("batch", image, "--output", "/proc/out")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, image):
    (tmp_path / "out.tif").mkdir()
    with pytest.raises(GanDenoiseError, match="is a folder"):
        check_outputs([tmp_path / "out.tif"], [image], True, "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_no_input(tmp_path, call):
    os.mkfifo(tmp_path / "pipe.tif")
    assert "no file" in call("denoise", tmp_path / "pipe.tif", tmp_path / "out.tif")
    assert "no file" in call("batch", tmp_path / "pipe.tif", "--output", tmp_path / "out")


def test_a_disk_without_room_for_the_result_is_found_before_the_work(image, tmp_path, monkeypatch):
    """A disk of as many bytes as the pixels of a result, less one."""
    tmp_path.joinpath("out").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: shutil._ntuple_diskusage(10**9, 0, 4 * 40 * 40 - 1))
    for door in (
        lambda: commands.denoise(image, tmp_path / "out" / "x.tif", {"model": "hrtem-unet", "pixel_size_nm": 0.02}),
        lambda: commands.restore(np.ones((40, 40)), tmp_path / "out" / "x.tif", {"task": "denoise"}),
        lambda: commands.compare(image, tmp_path / "out", {"methods": ["gaussian"]}),
        lambda: batch(inputs=[image], output=tmp_path / "job", settings={"model": "hrtem-unet", "pixel_size_nm": 0.02}),
    ):
        with pytest.raises(GanDenoiseError, match=r"6\.4e-06 GB are to be written to .* left: put that right and"):
            door()
    assert list((tmp_path / "out").iterdir()) == []
