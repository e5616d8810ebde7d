"""Find the hashes that are near to others: all pairs are found.

A few hashes are all compared, by faiss, with AVX instructions that count bits. Among many, those are looked up that
share a chunk of bits, but for a few: hashes cannot be near unless they are nearer still in one of their chunks
(Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with multi-index hashing").
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import faiss
import numpy as np

from clipfold.storage.files import Array

_LIST, _LISTED, _PLAIN = 25.0, 0.6, 0.5  # ns: to look up a list of hashes, to compare one of them, and one of all


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


@dataclass(frozen=True)
class _Chunk:
    """Some bits of a hash by which it is looked up.

    Args:
        first: number of the first.
        bits: their number.
        most: most of them in which hashes differ that are looked up.
    """

    first: int
    bits: int
    most: int

    @property
    def changes(self) -> Array:
        """What to change in a chunk to get the chunks to look up, int64 (lists,)."""
        return _changes(self.bits, self.most)

    def of(self, hashes: Array) -> Array:
        """Return the chunk of each hash, int64 (hashes,)."""
        return np.asarray((hashes >> np.uint64(self.first) & np.uint64((1 << self.bits) - 1)).astype(np.int64))


class Near:
    """Hashes to compare others with.

    Args:
        hashes: uint64 (hashes,).
        most: most bits in which near hashes differ.
    """

    def __init__(self, hashes: Array, most: int) -> None:
        self._hashes, self._most = hashes, most
        self._chunks = _chunks_for(len(hashes), most)
        self._all = faiss.IndexBinaryFlat(64)
        codes = _bytes(hashes)
        if not self._chunks:
            self._all.add(codes)
        self._lists: list[Any] = [faiss.IndexBinaryIVF(self._all, 64, 1 << chunk.bits) for chunk in self._chunks]
        for lists, chunk in zip(self._lists, self._chunks, strict=True):
            lists.is_trained, lists.nprobe = True, len(chunk.changes)
            names = chunk.of(hashes)  # faiss is told its address
            lists.add_core(len(codes), faiss.swig_ptr(codes), None, faiss.swig_ptr(names))

    def find(self, asked: Array) -> Found:
        """Find those that are near to each of `asked`, uint64 (hashes,); on one thread."""
        faiss.omp_set_num_threads(1)  # holds for the calling thread alone
        codes = _bytes(asked)
        if not self._chunks:
            return _found(*self._all.range_search(codes, self._most + 1))
        parts = []
        for number, chunk in enumerate(self._chunks):
            names = chunk.of(asked)[:, None] ^ chunk.changes
            near = self._lists[number].range_search_preassigned(
                codes, self._most + 1, names, np.zeros(names.shape, np.int32)
            )
            parts.append(self._new(asked, _found(*near), number))
        return Found(*map(np.concatenate, zip(*parts, strict=True)))

    def _new(self, asked: Array, found: Found, number: int) -> Found:
        """Return the pairs that no earlier chunk has found."""
        differing, new = asked[found.asked] ^ self._hashes[found.row], np.ones(len(found.row), bool)
        for chunk in self._chunks[:number]:
            new &= np.bitwise_count(chunk.of(differing)) > chunk.most
        return Found(*(each.compress(new) for each in found))


@cache
def _changes(bits: int, most: int) -> Array:
    ways = (which for count in range(most + 1) for which in combinations(range(bits), count))
    return np.array([sum(1 << bit for bit in which) for which in ways])


def _chunks_for(hashes: int, most: int) -> list[_Chunk]:
    """Return the chunks by which a number of hashes are looked up soonest; none if comparing all is."""
    ways = [_chunks(number, most) for number in range(4, 11) if number <= most + 1]
    return min([[], *ways], key=lambda chunks: _time(chunks, hashes))


def _chunks(number: int, most: int) -> list[_Chunk]:
    """Cut 64 bits into chunks. Hashes that differ in more than `most` of each differ in more than the sum of these."""
    ends = [64 * i // number for i in range(number + 1)]
    extra = range(number - (most + 1) % number, number)
    return [
        _Chunk(first, last - first, (most + 1) // number - 1 + (i in extra))
        for i, (first, last) in enumerate(pairwise(ends))
    ]


def _time(chunks: list[_Chunk], hashes: int) -> float:
    if not chunks:
        return _PLAIN * hashes
    return sum(len(chunk.changes) * (_LIST + _LISTED * hashes / (1 << chunk.bits)) for chunk in chunks)


def _found(limits: Array, bits: Array, rows: Array) -> Found:
    counts: Array = np.diff(limits.astype(np.int64))
    return Found(np.repeat(np.arange(len(counts)), counts), rows, bits)


def _bytes(hashes: Array) -> Array:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
