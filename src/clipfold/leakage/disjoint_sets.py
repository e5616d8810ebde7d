"""Merge numbered items into disjoint sets (union-find, Tarjan 1975). Pure."""


class DisjointSets:
    """Disjoint sets of the numbers 0 to `count - 1`, each alone in its set at first.

    >>> sets = DisjointSets(4)
    >>> sets.join(3, 1)
    >>> [sets.find(item) for item in range(4)]
    [0, 1, 2, 1]
    """

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def find(self, item: int) -> int:
        """Return the least member of the item's set."""
        while self._leader[item] != item:
            self._leader[item] = item = self._leader[self._leader[item]]
        return item

    def join(self, one: int, other: int) -> None:
        """Merge the sets of two items."""
        low, high = sorted((self.find(one), self.find(other)))
        self._leader[high] = low
