"""Blosc chunks that lie about their length; c-blosc would read beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from numcodecs import Blosc, Delta
from zarr.codecs import BloscCodec

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_micrograph

COUNTS = np.random.default_rng(0).poisson(5, (3, 20, 24)).astype("u2")
KINDS = {
    "2": {"zarr_format": 2, "compressors": Blosc()},
    "2, filtered": {"zarr_format": 2, "compressors": Blosc(cname="zstd"), "filters": [Delta(dtype="u2")]},
    "2, a filter": {"zarr_format": 2, "compressors": None, "filters": [Blosc()]},
    "3": {"compressors": BloscCodec()},
    "3, shards": {"compressors": BloscCodec(), "shards": (3, 20, 24)},
}


@pytest.fixture(params=KINDS)
def folder(request, tmp_path):
    path = tmp_path / "movie.zarr"
    zarr.create_array(path, data=COUNTS, chunks=(1, 20, 24), **KINDS[request.param])
    return path


def chunks(folder):
    return [
        file for file in folder.rglob("*") if file.is_file() and file.name not in ("zarr.json", ".zarray", ".zattrs")
    ]


def test_sound_chunks_are_read(folder):
    np.testing.assert_array_equal(read_micrograph(folder).pixels, COUNTS)


@pytest.mark.parametrize("place", [4, 12])
@pytest.mark.parametrize("said", [0, 7, 2**31 - 1, 2**32 - 1])
def test_a_chunk_that_lies_is_damaged(folder, place, said):
    for file in chunks(folder):
        content = bytearray(file.read_bytes())
        # In a shard the first chunk begins with the file.
        content[place : place + 4] = said.to_bytes(4, "little")
        file.write_bytes(content)
    # Less than there is unpacks to too little, which Blosc sees or Zarr.
    with pytest.raises(GanDenoiseError, match=None if place == 4 and said < 10 else "not as long as it says"):
        read_micrograph(folder)


def test_a_chunk_that_was_cut_is_damaged(folder):
    for file in chunks(folder):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    with pytest.raises(GanDenoiseError, match="cannot be read"):
        read_micrograph(folder)
