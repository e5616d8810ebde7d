"""Chance in training: its variance is that of the mean of the trainings."""

import numpy as np
import pandas as pd
import pytest

from clipfold.evaluation.chance import variances


def test_of_a_mean_it_is_the_variance_of_the_mean():
    random = np.random.default_rng(0)
    tables = []
    for rows, number in ((4, 3), (8, 5)):
        each = random.normal(size=(number, 1)) + np.zeros((number, rows))
        tables.append(pd.DataFrame({f"p{k}_a": own for k, own in enumerate(each)} | {"p_a": each.mean(axis=0)}))

    def pool(parts):
        return np.concatenate([part.p_a for part in parts])

    found = variances(tables, ["a"], pool, lambda own: {("mean",): own.mean()})
    spread = [np.var(table.filter(regex="p[0-9]").to_numpy()[0], ddof=1) for table in tables]
    assert found["mean",] == pytest.approx((4 / 12) ** 2 * spread[0] / 3 + (8 / 12) ** 2 * spread[1] / 5)
