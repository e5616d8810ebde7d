"""Quantise the descriptors of keypoints into words, so that similar ones are looked up instead of compared.

A word is a pair of entries of two codebooks, one for each half of the descriptor (Babenko & Lempitsky 2012, "The
inverted multi-index"). A signature, compared by its bits, tells the descriptors of a word apart (Jégou, Douze &
Schmid 2008, "Hamming embedding and weak geometric consistency for large scale image search").
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from clipfold.storage.files import Array

SAMPLE = 20_000
"""Most descriptors to learn from, and to read at once."""

PER_WORD: float = 8
"""Descriptors that a word is meant for."""

LARGEST = 1024
"""Most entries of a codebook: a million words. With 2048 of them, 1.5 % fewer copies are found."""

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words and signatures.

    Args:
        books: codebooks, float32 (2, entries, 64).
        planes: directions whose signs make the signature, float32 (128, 128).
        middle: median along each direction, float32 (128,).
    """

    books: Array
    planes: Array
    middle: Array

    @classmethod
    def learn(cls, sample: Array, total: int) -> Self:
        """Learn, without chance, from a sample of `total` descriptors, `uint8` (`SAMPLE` at most, 128)."""
        entries = int(np.clip(min((total / PER_WORD) ** 0.5, len(sample) / 4), 1, LARGEST))
        points = rooted(sample)
        books = np.stack([_centres(half, entries) for half in (points[:, :64], points[:, 64:])])
        planes = np.linalg.qr(np.random.default_rng(0).normal(size=(128, 128)))[0].astype(np.float32)
        return cls(books, planes, np.median(points @ planes, axis=0))

    @classmethod
    def from_numbers(cls, numbers: Array) -> Self:
        """Return the vocabulary whose `numbers` these are."""
        books, planes, middle = np.split(numbers, [-128 * 129, -128])
        return cls(books.reshape(2, -1, 64), planes.reshape(128, 128), middle)

    @property
    def numbers(self) -> Array:
        """All numbers, to be stored, float32 (numbers,)."""
        return np.concatenate([self.books.ravel(), self.planes.ravel(), self.middle])

    @property
    def size(self) -> int:
        """Number of words."""
        return int(self.books.shape[1]) ** 2

    def read(self, descriptors: Array, count: int) -> tuple[Array, Array]:
        """Read descriptors.

        Args:
            descriptors: `uint8` (keypoints, 128).
            count: words for each, the nearest.

        Returns:
            Words, int64 (keypoints, words), at most `count`; signatures, uint64 (keypoints, 2).
        """
        points = rooted(descriptors)
        signatures = np.packbits(points @ self.planes > self.middle, axis=1).view(np.uint64)
        entries = self.books.shape[1]
        few = min(count, entries)
        apart, names = np.zeros((len(points), 1), np.float32), np.zeros((len(points), 1), np.int64)
        for half, book in zip((points[:, :64], points[:, 64:]), self.books, strict=True):
            distances = _distances(half, book)
            nearest = _least(distances, few)
            own = np.take_along_axis(distances, nearest, axis=1)
            apart = (apart[:, :, None] + own[:, None, :]).reshape(len(points), -1)
            names = (names[:, :, None] * entries + nearest[:, None, :]).reshape(len(points), -1)
        few = min(count, names.shape[1])
        return np.take_along_axis(names, _least(apart, few), axis=1), signatures


def rooted(descriptors: Array) -> Array:
    """Scale descriptors to unit vectors whose products are Hellinger's (Arandjelović & Zisserman 2012), float32."""
    floats = descriptors.astype(np.float32)
    return np.asarray(np.sqrt(floats / np.maximum(floats.sum(axis=1, keepdims=True), 1)))


def _distances(points: Array, centres: Array) -> Array:
    """Return squared distances, up to a term that all centres share, float32 (points, centres)."""
    return np.asarray((centres**2).sum(axis=1) - 2 * points @ centres.T)


def _least(values: Array, count: int) -> Array:
    """Return the columns of the `count` least values of each row, int64 (rows, count)."""
    if count == 1:
        return np.asarray(values.argmin(axis=1, keepdims=True))  # several times as fast
    return np.argpartition(values, count - 1, axis=1)[:, :count]


def _centres(points: Array, count: int) -> Array:
    """Cluster points by Lloyd's algorithm, from evenly spaced points on."""
    centres: Array = points[np.linspace(0, len(points) - 1, count).astype(int)].copy()
    for _ in range(_ROUNDS):
        nearest = _distances(points, centres).argmin(axis=1)
        order, number = np.argsort(nearest, kind="stable"), np.bincount(nearest, minlength=count)
        used = number > 0
        starts = (np.cumsum(number) - number)[used]
        centres[used] = np.add.reduceat(points[order], starts, axis=0) / number[used, None]
    return centres
