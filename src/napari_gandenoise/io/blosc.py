"""Blosc chunks of strangers: held to their own length before they are unpacked.

Blosc believes the header of a chunk, and reads beyond one that is shorter than it says.  Whether the header tells the
truth is what its authors ask to be checked first (``blosc_cbuffer_validate`` in c-blosc), and what the readers of Zarr
leave out.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zarr
from numcodecs.blosc import Blosc
from numcodecs.compat import ensure_contiguous_ndarray
from zarr.abc.codec import Codec
from zarr.codecs import BloscCodec, ShardingCodec

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

__all__ = ["guarded"]

HEADER = 16  # bytes; the second four of them say what a chunk unpacks to, the last four how long it is
WIDEST = 16  # bytes of a number, also between filters


def guarded(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return an array whose Blosc chunks, if it has such, are checked before they are unpacked."""
    metadata: Any = array.metadata
    most = WIDEST * math.prod(array.shards or array.chunks)
    if metadata.zarr_format == 2:
        filters = metadata.filters and tuple(_numcodec(one, most) for one in metadata.filters)
        metadata = replace(metadata, compressor=_numcodec(metadata.compressor, most), filters=filters)
    else:
        metadata = replace(metadata, codecs=tuple(_codec(one) for one in metadata.codecs))
    own = array.async_array
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=own.store_path, config=own.config))


def _numcodec(codec: Any, most: int) -> Any:
    if not isinstance(codec, Blosc):
        return codec
    return _CheckedBlosc(most, **{name: value for name, value in codec.get_config().items() if name != "id"})


def _codec(codec: Codec) -> Codec:
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=tuple(_codec(one) for one in codec.codecs))
    if not isinstance(codec, BloscCodec):
        return codec
    names = ("typesize", "cname", "clevel", "shuffle", "blocksize")
    return _CheckedCodec(**{name: getattr(codec, name) for name in names})


def _check(chunk: Any, most: int) -> None:
    """Refuse a chunk that is not as long as it says, or unpacks to more than it can hold."""
    content = ensure_contiguous_ndarray(chunk).reshape(-1).view("u1")
    unpacked, packed = (int.from_bytes(content[place : place + 4].tobytes(), "little") for place in (4, 12))
    if len(content) < HEADER or packed != len(content) or unpacked > most:
        raise ValueError("a chunk is not as long as it says")


class _CheckedBlosc(Blosc):  # type: ignore[misc]
    """Of the second version of Zarr."""

    def __init__(self, most: int, **config: Any) -> None:
        super().__init__(**config)
        self.most = most

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Unpack a chunk."""
        _check(buf, self.most)
        return super().decode(buf, out)


class _CheckedCodec(BloscCodec):
    """Of the third."""

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        _check(chunk_bytes.as_numpy_array(), WIDEST * math.prod(chunk_spec.shape))
        return super()._decode_sync(chunk_bytes, chunk_spec)
