"""Equal and nearly equal rows: copies, or chance."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from clipfold.storage.files import read_table, write_table
from clipfold.table.equal import count_equal, find_pairs, match_rows
from clipfold.table.rows import schema


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_honest_tables_have_no_copies_and_planted_ones_are_found(load):
    data = load(as_frame=True).data
    assert not count_equal(data).copied
    assert find_pairs(data) == []
    copied = data.sample(10, random_state=0)
    assert count_equal(pd.concat([data, copied], ignore_index=True)).copied
    rng = np.random.default_rng(0)
    shaken = copied + rng.normal(size=copied.shape) * data.std().to_numpy() * 1e-5
    found = find_pairs(pd.concat([data, shaken], ignore_index=True))
    assert {(x, y) for x, y, _ in found} == {(i, len(data) + k) for k, i in enumerate(copied.index)}
    assert all(score > 0.99 for *_, score in found)


def test_two_irises_with_the_same_measures_are_chance():
    equal = count_equal(load_iris(as_frame=True).data)
    assert (equal.pairs, equal.copied) == (1, False)


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_of_few_categories_are_chance(seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.choice(list("abcd"), 400) for name in "xyz"})
    equal = count_equal(table)
    assert equal.pairs > 500
    assert equal.expected == pytest.approx(equal.pairs, rel=0.2)
    assert not equal.copied


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_chance_brings_nearly_equal_rows_in_one_table_of_twenty(columns):
    rng = np.random.default_rng(columns)
    found = [len(find_pairs(pd.DataFrame(rng.normal(size=(500, columns))))) for _ in range(20)]
    assert sum(map(bool, found)) <= 4


def test_rows_of_other_categories_or_gaps_are_not_nearly_equal():
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(100, 3)), columns=list("xyz"))
    table = pd.concat([numbers, numbers.iloc[:3] * (1 + 1e-9)], ignore_index=True).assign(eye="blue")
    assert len(find_pairs(table)) == 3
    table.loc[100, "eye"] = "brown"
    table.loc[101, "x"] = np.nan
    assert [(x, y) for x, y, _ in find_pairs(table)] == [(2, 102)]


def test_many_copies_of_one_row_stay_few_pairs():
    rng = np.random.default_rng(0)
    near = np.ones((2000, 3)) + rng.normal(size=(2000, 3)) * 1e-9
    found = find_pairs(pd.DataFrame(np.concatenate([rng.normal(size=(3000, 3)), near])))
    assert 1000 < len(found) <= 5 * 2000


def written(folder, table, kinds):
    write_table(folder / "features.parquet", table.to_dict("records"), schema(kinds))
    match_rows([folder / "features.parquet"], folder / "rows.parquet", folder / "matches.parquet")
    return read_table(folder / "rows.parquet").to_pandas().set_index("id")


def test_copies_share_a_content_and_rows_without_a_value_are_typed(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"table.x": rng.normal(size=30), "table.z": rng.normal(size=30), "table.y": list("abc" * 10)})
    gone = pd.DataFrame({"table.x": [np.nan], "table.z": [np.nan], "table.y": [""]})
    table = pd.concat([table, table[:2], gone], ignore_index=True)
    table.insert(0, "id", [f"r{i:02}" for i in range(33)])
    rows = written(tmp_path, table, {"x": "number", "z": "number", "y": "category"})
    assert rows.content["r00"] == rows.content["r30"] != rows.content["r01"] == rows.content["r31"]
    assert (rows.status["r32"], rows.reason["r32"]) == ("empty", "no cell has a value")
    assert pd.isna(rows.row["r32"])


def test_rows_that_are_equal_by_chance_have_contents_of_their_own(tmp_path):
    table = pd.DataFrame({"id": [f"r{i:02}" for i in range(40)], "table.x": list("abab" * 10)})
    rows = written(tmp_path, table, {"x": "category"})
    assert rows.digest.nunique() == 2
    assert rows.content.nunique() == 40
