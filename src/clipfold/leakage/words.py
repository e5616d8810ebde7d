"""Quantise the descriptors of keypoints into words, so that similar ones are looked up instead of compared.

A word is a pair of entries of two codebooks, one for each half of the descriptor (Babenko & Lempitsky 2012, "The
inverted multi-index"). A signature, compared by its bits, tells the descriptors of a word apart: the signs of what
sets them apart from the middle of the word, along many directions (Jégou, Douze & Schmid 2008, "Hamming embedding and
weak geometric consistency for large scale image search").
"""

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import NamedTuple, Self

import faiss
import numpy as np

from clipfold.leakage.forms import formed, learn_directions
from clipfold.storage.files import Array

SAMPLE = 20_000
"""Most descriptors to learn from, and to read at once."""

PER_WORD: float = 8
"""Descriptors that a word is meant for."""

LARGEST = 1024
"""Most entries of a codebook: a million words."""

_ROUNDS = 8
_HALVES = 8  # most entries of each codebook from which the nearest words are put together
_HADAMARD = reduce(np.kron, [np.array([[1, 1], [1, -1]])] * 7)
_PLANES = (_HADAMARD * np.random.default_rng(0).choice([-1, 1], (128, 1))).astype(np.float32)
"""Directions whose signs make the signature, at right angles to each other, (128, directions)."""


class Reading(NamedTuple):
    """Descriptors that were read; each has one row, or several if its form is in doubt.

    Args:
        row: row of the descriptor, int64 (read,).
        change: what makes its form, see `forms.Formed`, int64 (read,).
        words: int64 (read, words).
        signatures: its signature among the descriptors of each word, uint64 (read, words, 2).
    """

    row: Array
    change: Array
    words: Array
    signatures: Array


@dataclass(frozen=True)
class Vocabulary:
    """Words and signatures.

    Args:
        books: codebooks, float32 (2, entries, 64).
        directions: from `forms.learn_directions`.
    """

    books: Array
    directions: Array

    @classmethod
    def learn(cls, sample: Array, total: int) -> Self:
        """Learn, without chance, from a sample of `total` descriptors, `uint8` (`SAMPLE` at most, 128)."""
        entries = int(np.clip(min((total / PER_WORD) ** 0.5, len(sample) / 4), 1, LARGEST))
        points = rooted(sample)
        directions = learn_directions(points)
        shared = formed(points, directions, doubtful=False).points
        return cls(np.stack([_centres(half, entries) for half in np.split(shared, 2, axis=1)]), directions)

    @classmethod
    def from_numbers(cls, numbers: Array) -> Self:
        """Return the vocabulary whose `numbers` these are."""
        books, directions = np.split(numbers, [-2 * 128])
        return cls(books.reshape(2, -1, 64), directions.reshape(2, 128))

    @property
    def numbers(self) -> Array:
        """All numbers, to be stored, float32 (numbers,)."""
        return np.concatenate([self.books.ravel(), self.directions.ravel()])

    @property
    def size(self) -> int:
        """Number of words."""
        return int(self.books.shape[1]) ** 2

    @cached_property
    def _books(self) -> list[faiss.IndexFlatL2]:
        indices = [faiss.IndexFlatL2(64) for _ in self.books]
        for index, book in zip(indices, self.books, strict=True):
            index.add(np.ascontiguousarray(book))
        return indices

    @cached_property
    def _middles(self) -> Array:
        """Each entry along the directions of signatures, float32 (2, entries, 128): their sum is that of a word."""
        return np.stack([book @ planes for book, planes in zip(self.books, np.split(_PLANES, 2), strict=True)])

    def read(self, descriptors: Array, count: int, *, doubtful: bool = False) -> Reading:
        """Read descriptors.

        Args:
            descriptors: `uint8` (keypoints, 128).
            count: words for each, the nearest; fewer if there are no more.
            doubtful: read those whose form is in doubt in all forms that it may be.
        """
        row, change, points = formed(rooted(descriptors), self.directions, doubtful=doubtful)
        entries = self.books.shape[1]
        few = min(count, entries, _HALVES)
        faiss.omp_set_num_threads(1)  # holds for the calling thread alone
        (apart, names), (beside, others) = (
            book.search(np.ascontiguousarray(half), few)
            for book, half in zip(self._books, np.split(points, 2, axis=1), strict=True)
        )
        apart = (apart[:, :, None] + beside[:, None]).reshape(len(points), few**2)
        names = (names[:, :, None] * entries + others[:, None]).reshape(len(points), few**2)
        few = min(count, few**2)
        words = np.take_along_axis(names, np.argpartition(apart, few - 1, axis=1)[:, :few], axis=1)
        first, second = self._middles
        beyond = (points @ _PLANES)[:, None] > first[words // entries] + second[words % entries]
        return Reading(row, change, words, np.packbits(beyond, axis=2).view(np.uint64))


def rooted(descriptors: Array) -> Array:
    """Scale descriptors to unit vectors whose products are Hellinger's (Arandjelović & Zisserman 2012), float32."""
    floats = descriptors.astype(np.float32)
    return np.asarray(np.sqrt(floats / np.maximum(floats.sum(axis=1, keepdims=True), 1)))


def _centres(points: Array, count: int) -> Array:
    """Cluster points by Lloyd's algorithm, from evenly spaced points on."""
    centres: Array = points[np.linspace(0, len(points) - 1, count).astype(int)].copy()
    for _ in range(_ROUNDS):
        nearest = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        order, number = np.argsort(nearest, kind="stable"), np.bincount(nearest, minlength=count)
        used = number > 0
        starts = (np.cumsum(number) - number)[used]
        centres[used] = np.add.reduceat(points[order], starts, axis=0) / number[used, None]
    return centres
