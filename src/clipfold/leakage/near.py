"""Find the hashes that are near to others: all are compared, by faiss, with AVX instructions that count bits."""

from typing import NamedTuple

import faiss
import numpy as np

from clipfold.storage.files import Array


class Found(NamedTuple):
    """Pairs of near hashes, in no order.

    Args:
        asked: row of the first hash, int64 (pairs,).
        row: row of the second one, among those that were indexed.
        bits: number of bits in which they differ.
    """

    asked: Array
    row: Array
    bits: Array


class Near:
    """Hashes to compare others with.

    Args:
        hashes: uint64 (hashes,).
    """

    def __init__(self, hashes: Array) -> None:
        self._index = faiss.IndexBinaryFlat(64)
        self._index.add(_bytes(hashes))

    def find(self, asked: Array, most: int) -> Found:
        """Find those that differ from `asked`, uint64 (hashes,), in at most `most` bits; on one thread."""
        faiss.omp_set_num_threads(1)  # holds for the calling thread alone
        limits, bits, rows = self._index.range_search(_bytes(asked), most + 1)
        counts: Array = np.diff(limits.astype(np.int64))
        return Found(np.repeat(np.arange(len(asked)), counts), rows, bits)


def _bytes(hashes: Array) -> Array:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
