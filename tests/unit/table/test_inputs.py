"""Test what is said of a row, to compare it with the training data."""

import numpy as np
import pandas as pd
import pytest

from clipfold.delivery.description import check_table
from clipfold.delivery.distance import Reference
from clipfold.delivery.drift import drift
from clipfold.table.inputs import CATEGORIES, MOST, categories_of, describe_rows, inputs_of

KINDS = {"width": "number", "eye": "category"}


def table(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    eye = rng.choice(["blue", "blue", "brown", ""], rows)
    return pd.DataFrame({"table.width": rng.normal(0, 1e-4, rows), "table.eye": eye})


def test_categories_are_listed_by_how_often_they_are_there():
    assert categories_of(table(), KINDS) == {"eye": ["blue", "brown"]}


def test_columns_are_numbers_and_shares_of_categories():
    described = describe_rows(table(), KINDS, {"eye": ["blue", "brown"]})
    assert list(described) == list(inputs_of(KINDS, {"eye": ["blue", "brown"]}))
    assert list(described) == ["table.width", "table.eye = blue", "table.eye = brown"]
    assert described.dtypes.unique().tolist() == [np.float64]


def test_thousands_of_columns_and_categories_are_few_inputs():
    many = {f"c{k}": "category" for k in range(3000)}
    assert len(inputs_of(many, {name: [str(i) for i in range(500)] for name in many})) == MOST
    assert len(inputs_of({"c": "category"}, {"c": [str(i) for i in range(500)]})) == CATEGORIES


def reference(seed=0):
    described = describe_rows(table(seed=seed), KINDS, {"eye": ["blue", "brown"]}).add_prefix("input.")
    return described.assign(group=range(60), id=range(60), label="a", p_a=0.5, p_b=0.5, distance=0.5)


def test_a_row_far_off_is_far_whatever_the_unit_of_its_columns():
    made = Reference(reference())
    near, far = made.distances(np.array([[0, 1, 0], [0.01, 1, 0]]))
    assert near < 1 < 10 < far


def test_drift_names_the_column_that_moved_even_by_small_numbers():
    new = reference(seed=1).assign(status="ok")
    assert drift(reference(), new, ["a", "b"]).verdict == "none"
    new["input.table.width"] += 5e-4
    found = drift(reference(), new, ["a", "b"])
    assert (found.verdict, found.items[0].name) == ("worry", "table.width")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"columns": {"x": "code"}, "categories": {}, "names": {}}, "columns: x is 'code': use one of number"),
        ({"columns": {"x": "category"}, "categories": {}, "names": {}}, "categories: x is False"),
        ({"columns": {"x": "number"}, "categories": {"x": ["a"]}, "names": {}}, "categories: x is True"),
        ({"columns": {}, "categories": {}, "names": {}}, "columns is .*: name one or more"),
        (
            {"columns": {"x": "number"}, "categories": {}, "names": {"path": "/etc/passwd"}},
            "names is .'path'.: use any",
        ),
    ],
)
def test_a_strange_description_of_a_table_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        check_table("bundle.json: table", table)
