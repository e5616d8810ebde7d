"""The columns of a fit's predictions: `p_<class>` and, of a network trained several times, `p<k>_<class>` of each."""

from collections.abc import Container, Sequence
from itertools import count


def trainings_in(columns: Container[str], classes: Sequence[str]) -> int:
    """Return the number of trainings whose predictions a table has beside their mean; 0 if there was only one.

    >>> trainings_in(["id", "p_a", "p_b", "p0_a", "p0_b", "p1_a", "p1_b"], ["a", "b"])
    2
    """
    return next(k for k in count() if f"p{k}_{classes[0]}" not in columns)
