"""Simulated sources: sets on disk, and images made of exit waves when they are asked for."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from napari_gandenoise.datasets.simulated import SimulatedImages
from napari_gandenoise.datasets.sources import open_source, prepare_steps, split
from napari_gandenoise.datasets.stream import TileStream
from napari_gandenoise.datasets.tiles import TileSampler
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.progress import drain
from napari_gandenoise.settings.data import LiveData, SimulatedData, TileConfig
from napari_gandenoise.settings.simulate import (
    CrystalConfig,
    ImagingConfig,
    ScenesConfig,
    SimulationConfig,
    StructureConfig,
)

ALL = slice(None), slice(None)
PIXEL_NM = 0.0183


def test_only_the_images_that_are_finished_are_read(tmp_path, write_set):
    numbers = np.arange(5)[:, None, None] + np.zeros((5, 8, 9))
    source = open_source(SimulatedData(path=write_set(tmp_path / "set.zarr", numbers, finished=2, per=2)))
    assert len(source) == 2
    assert (source.channels, source.pixel_size_nm, source.images_per_object) == (1, PIXEL_NM, 2)
    assert source.shape(1) == (8, 9)
    part = source.read(1, slice(2, 5), slice(0, 9))
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, np.ones((1, 3, 9)))


def test_a_set_travels_to_another_process(tmp_path, write_set, rng, send):
    source = open_source(SimulatedData(path=write_set(tmp_path / "set.zarr", rng.random((3, 40, 40)))))
    whole = source.read(2, *ALL)
    arrived, size = send(source)
    assert size < 1000
    np.testing.assert_array_equal(arrived.read(2, *ALL), whole)


@pytest.mark.parametrize("content", ["missing", "something else", "unfinished"])
def test_what_is_no_simulated_set_is_refused(tmp_path, write_set, content):
    path = tmp_path / "set.zarr"
    if content == "something else":
        zarr.open_group(path, mode="w").attrs["colour"] = "blue"
    elif content == "unfinished":
        write_set(path, np.ones((2, 8, 8)), finished=0)
    with pytest.raises(GanDenoiseError, match=r"set\.zarr (is not a simulated set|holds no finished image)"):
        SimulatedImages(path)


LIVE = SimulationConfig(
    structures=3,
    images_per_structure=2,
    pixel_size_nm=0.03,
    shape=100,
    seed=1,
    structure=StructureConfig(diameter_nm=(1.0, 1.0), supported_fraction=0.0),
    imaging=ImagingConfig(defocus_nm=(-8.0, 8.0)),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pytest.importorskip("ase")
    data = LiveData(simulation=LIVE, waves=tmp_path_factory.mktemp("live") / "waves.zarr")
    events = list(prepare_steps(data))
    assert [(event.stage, event.done, event.total) for event in events] == [("prepare", n, 3) for n in (1, 2, 3)]
    assert list(prepare_steps(data)) == []
    return data


def test_each_image_has_conditions_of_its_own_that_its_number_decides(data):
    source, again = open_source(data), open_source(data)
    assert len(source) == 6
    numbers = [0, 1, 2, 6, 12]
    images = [source.read(number, *ALL) for number in numbers]
    assert images[0].shape == (1, *source.shape(0)) == (1, 100, 100)
    assert images[0].mean() == pytest.approx(1, abs=0.1)
    for i, image in enumerate(images):
        np.testing.assert_array_equal(image, again.read(numbers[i], *ALL))
        assert not any(np.array_equal(image, other) for other in images[:i])


def test_a_part_is_cut_from_the_whole(data):
    source = open_source(data)
    part = source.read(3, slice(10, 30), slice(40, 90))
    np.testing.assert_array_equal(part, source.read(3, *ALL)[:, 10:30, 40:90])


def test_held_out_structures_are_never_trained_on(data, tmp_path):
    # Whatever is made of the first structure's exit wave cannot be overlooked.
    shutil.copytree(data.waves, tmp_path / "waves.zarr")
    zarr.open_group(tmp_path / "waves.zarr", mode="r+")["waves"][0] = np.nan
    held, training = split(open_source(data.model_copy(update={"waves": tmp_path / "waves.zarr"})), 1)
    assert (len(held), len(training)) == (2, 4)
    for variant in range(3):
        for image in range(len(training)):
            assert np.isfinite(training.read(image + variant * len(training), *ALL)).all()
    assert not any(np.isfinite(held.read(image, *ALL)).any() for image in range(len(held)))


def test_tiles_are_the_same_in_another_process(data, send):
    sampler = TileSampler(open_source(data), TileConfig(), 16, 0.03)
    here = next(TileStream(sampler, 6, seed=2).start(3))
    there, _ = send(sampler)
    np.testing.assert_array_equal(here, next(TileStream(there, 6, seed=2).start(3)))


def test_waves_must_be_there(data, tmp_path):
    with pytest.raises(GanDenoiseError, match="prepare them first"):
        open_source(data.model_copy(update={"waves": tmp_path / "none.zarr"}))
    more = LIVE.model_copy(update={"structures": 4})
    with pytest.raises(GanDenoiseError, match="prepare them first"):
        open_source(data.model_copy(update={"simulation": more}))
    with pytest.raises(GanDenoiseError, match="already holds other exit waves"):
        drain(prepare_steps(data.model_copy(update={"simulation": more})))


FLAKE = CrystalConfig(materials=("WS2",), flakes=1.0, surroundings=("vacuum",))
OTHERS = {
    "haadf": LIVE.model_copy(update={"mode": "haadf", "structure": FLAKE, "shape": 64}),
    "scenes": LIVE.model_copy(update={"structure": ScenesConfig(), "shape": 64}),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_modes_are_imaged_anew_without_waves(kind, tmp_path, send):
    if kind == "haadf":
        pytest.importorskip("ase")
    data = LiveData(simulation=OTHERS[kind], waves=tmp_path / "none.zarr")
    assert list(prepare_steps(data)) == []
    source = open_source(data)
    assert (len(source), source.pixel_size_nm, source.channels) == (6, 0.03, 1)
    images = [source.read(number, *ALL) for number in (0, 1, 2, 6)]
    for i, image in enumerate(images):
        assert image.shape == (1, 64, 64)
        assert image.dtype == np.float32
        assert image.min() >= 0 < image.std()
        assert not any(np.array_equal(image, other) for other in images[:i])
    there, _ = send(source)
    np.testing.assert_array_equal(there.read(6, *ALL), images[3])
    assert not (tmp_path / "none.zarr").exists()
    if kind == "haadf":
        # Images 0, 1 and 6 show structure 0 in its place, image 2 shows another one.
        same, other = (np.corrcoef(images[0].ravel(), images[i].ravel())[0, 1] for i in (3, 2))
        assert same > 0.8 > other
