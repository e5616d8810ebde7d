import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.features import series

VALUES = st.lists(st.floats(0, 1e6), min_size=2, max_size=40).map(np.array)


def test_values_of_known_series():
    assert series.burstiness(np.full(9, 3.0)) == pytest.approx(-1)
    assert series.burstiness(np.eye(1, 400)[0]) == pytest.approx(0.9, abs=0.01)
    assert series.gini(np.array([0, 0, 0, 1])) == pytest.approx(0.75)
    assert series.gini(np.zeros(4)) == series.entropy(np.zeros(4)) == 0
    assert series.entropy(np.ones(12)) == pytest.approx(1)
    assert series.entropy(np.array([0, 5, 0])) == pytest.approx(0, abs=1e-6)
    assert series.periodicity(np.sin(np.arange(40) * 2 * np.pi / 8)) == pytest.approx(0.8)  # 32 of 40 steps overlap
    assert series.periodicity(np.arange(20.0)) == 0
    assert series.autocorrelation(np.ones(3)).tolist() == [0, 0, 0]
    assert series.longest_run(np.array([1, 0, 1, 1, 1, 0, 1], bool)) == 3


@given(VALUES, st.floats(0.1, 1e3))
def test_shares_lie_in_their_range_and_do_not_depend_on_the_unit(values, unit):
    assert -1 <= series.burstiness(values) < 1
    assert -1e-9 <= series.gini(values) < 1
    if values.sum() > 1e-3:
        assert series.gini(unit * values) == pytest.approx(series.gini(values), abs=1e-6)
        assert series.entropy(unit * values) == pytest.approx(series.entropy(values), abs=1e-4)
