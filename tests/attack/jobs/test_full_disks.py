"""A disk that is full at every write: one sentence, nothing lost, and the same bytes once there is room."""

from __future__ import annotations

import re
import sys

import pytest
from tests.attack.jobs.attacking import digest

from napari_gandenoise.batching import LEDGER, batch, has_job
from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph, write_result
from napari_gandenoise.progress import drain
from napari_gandenoise.training import train_steps

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")]
PAGE_KB = 4  # a disk in memory has pages of that size
ENOUGH_KB = 32_000


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_batch_goes_on_wherever_the_disk_was_full(tmp_path, movie, settings, disk, form):
    job = {"inputs": movie, "settings": settings, "format": form, "fit_map": True}
    batch(**job, output=tmp_path / "whole")
    expected = digest(tmp_path / "whole", (LEDGER,))
    said: list[str] = []
    for pages in range(1, 200):
        out = disk(pages * PAGE_KB) / "out"
        try:
            batch(**job, output=out)
        except GanDenoiseError as error:
            said.append(str(error))
        else:
            break
        disk(ENOUGH_KB, anew=False)
        result = batch(output=out, resume=True) if has_job(out) else batch(**job, output=out)
        assert result.failures == {}
        assert digest(out, (LEDGER,)) == expected
    assert digest(out, (LEDGER,)) == expected
    assert len(said) > 3
    assert all(re.search("put that right and|Nothing can be written", sentence) for sentence in said)


def test_a_run_goes_on_wherever_the_disk_was_full(tmp_path, make_run, disk):
    drain(train_steps(make_run(tmp_path / "whole", steps=3)))
    names = ("tiny.safetensors", "history.csv")
    expected = [(tmp_path / "whole" / name).read_bytes() for name in names]
    said: list[str] = []
    for pages in (1, 2, 3, *range(4, 400, 9)):
        out = disk(pages * PAGE_KB) / "out"
        try:
            drain(train_steps(make_run(out, steps=3)))
        except GanDenoiseError as error:
            said.append(str(error))
        else:
            break
        disk(ENOUGH_KB, anew=False)
        drain(train_steps(make_run(out, steps=3), resume=True))
        assert [(out / name).read_bytes() for name in names] == expected
    assert [(out / name).read_bytes() for name in names] == expected
    assert len(said) > 3
    assert all(re.search("put that right and|Nothing can be written", sentence) for sentence in said)


def test_an_image_stays_what_it_was_where_the_disk_is_full(movie, settings, disk):
    said: list[str] = []
    result = denoise(read_micrograph(movie), **settings)
    for pages in range(1, 40):
        path = disk(pages * PAGE_KB) / "out.tif"
        path.write_bytes(b"old")
        try:
            write_result(path, result, overwrite=True)
        except GanDenoiseError as error:
            said.append(str(error))
            assert path.read_bytes() == b"old"
            assert [entry.name for entry in path.parent.iterdir()] == ["out.tif"]
        else:
            break
    assert len(said) > 1
    assert all("could not be written" in sentence for sentence in said)
    assert read_micrograph(path).pixels.shape == result.rate.shape
