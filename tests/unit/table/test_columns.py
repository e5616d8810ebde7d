"""Test which columns of a table are learned from, as what, and which stop the run."""

import csv

import pytest

from clipfold.config import read_config
from clipfold.plan import Plan

ROWS = 30


def plan(folder, cells, label="label", **values):
    """A plan for a table of columns, name -> cells; labels are `a` and `b` in turn unless they are given."""
    cells = {label: ["ab"[i % 2] for i in range(ROWS)]} | cells
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows([cells, *zip(*cells.values(), strict=True)])
    return Plan.from_config({"modality": "table", "manifest": "table.csv"} | values, [folder])


NUMBERS = {"x": [str(i * 7 % 11) for i in range(ROWS)]}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "", "NA"], "number"),
        (["1,5", "2", "", "3,25"], "comma"),
        (["2024-01-31", "", "2024-02-01", "2024-03-01"], "date"),
        (["red", "green", "", "red"], "category"),
        (["yes", "no", "yes", "yes"], "category"),
        (["1", "2", "3a", "1"], "category"),
    ],
)
def test_the_text_of_a_column_tells_its_kind(tmp_path, cells, kind):
    made = plan(tmp_path, NUMBERS | {"y": [cells[i * i % 4] for i in range(ROWS - 4)] + cells})
    assert made.table.columns == {"x": "number", "y": kind}


def test_codes_are_categories_if_the_config_says_so(tmp_path):
    assert plan(tmp_path, NUMBERS, table={"categories": ["x"]}).table.columns == {"x": "category"}


def test_a_constant_or_empty_column_is_left_out_with_a_word(tmp_path):
    made = plan(tmp_path, NUMBERS | {"same": ["5"] * ROWS, "empty": [""] * ROWS})
    assert (list(made.table.columns), list(made.table.left_out)) == (["x"], ["same", "empty"])


SUSPECTS = {
    "an id": ([f"code{i * 7 % 31}" for i in range(ROWS)], "another text in each row"),
    "a row number": ([str(i) for i in range(ROWS)], "counts the rows"),
    "the class in numbers": ([str(i % 2) for i in range(ROWS)], "the label in other words"),
    "the class in words": ([("alpha", "beta")[i % 2] for i in range(ROWS)], "the label in other words"),
    "a stray text": ([str(i * 1.5) for i in range(1, ROWS)] + ["5 cm"], "'5 cm' in row 31"),
    "thousands": (["1,234", "5,678"] * (ROWS // 2), "thousands or decimals"),
    "a long text": (["a", "b" * 2000, "a"] * (ROWS // 3), "a text of 2000 characters in row 3"),
    "a control character": (["a", "b\x1b[2J", "a"] * (ROWS // 3), "control characters in row 3"),
}


@pytest.mark.parametrize("what", SUSPECTS)
def test_a_column_to_be_wary_of_stops_the_run_and_the_remedy_leads_out(tmp_path, what):
    cells, message = SUSPECTS[what]
    with pytest.raises(ValueError, match=message) as error:
        plan(tmp_path, NUMBERS | {"y": cells})
    assert 'table: {ignore: ["y"]}' in str(error.value)
    assert list(plan(tmp_path, NUMBERS | {"y": cells}, table={"ignore": ["y"]}).table.columns) == ["x"]


@pytest.mark.parametrize("what", ["an id", "a row number", "the class in numbers"])
def test_a_column_that_the_config_lists_is_taken_as_it_is(tmp_path, what):
    cells, _ = SUSPECTS[what]
    assert list(plan(tmp_path, NUMBERS | {"y": cells}, table={"columns": ["y"]}).table.columns) == ["y"]


def test_of_many_columns_to_be_wary_of_five_are_shown_and_all_are_in_the_remedy(tmp_path):
    many = {f"n{k}": [str(i + k) for i in range(ROWS)] for k in range(50)}
    with pytest.raises(ValueError, match="and 45 more") as error:
        plan(tmp_path, NUMBERS | many)
    assert '"n49"' in str(error.value)


def test_label_id_group_and_split_are_no_features_under_any_name(tmp_path):
    named = {"who": ["pq"[i % 2] + str(i // 6) for i in range(ROWS)], "key": [f"k{i}" for i in range(ROWS)]}
    made = plan(tmp_path, NUMBERS | named, "class", columns={"label": "class", "group": "who", "id": "key"})
    assert list(made.table.columns) == ["x"]
    assert (made.videos[0].id, made.videos[0].group, made.videos[0].label) == ("k0", "p0", "a")


def test_a_row_without_id_is_named_as_spreadsheets_count(tmp_path):
    assert [row.id for row in plan(tmp_path, NUMBERS).videos[:2]] == ["row 2", "row 3"]


def test_an_added_row_changes_its_shard_alone(tmp_path):
    before = plan(tmp_path, NUMBERS, shard_size=8)
    more = {"label": [*["ab"[i % 2] for i in range(ROWS)], "a"], "x": [*NUMBERS["x"], "3"]}
    after = plan(tmp_path, more, shard_size=8)

    def digests(made):
        return {name: made.table.digest(row.id for row in rows) for name, rows in made.shards.items()}

    changed = [name for name, digest in digests(after).items() if digests(before).get(name) != digest]
    assert len(changed) <= 2 < len(after.shards)
    relabelled = plan(tmp_path, {**NUMBERS, "label": ["a", *["ab"[i % 2] for i in range(1, ROWS)]]}, shard_size=8)
    assert digests(relabelled) == digests(before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"table": {"columns": ["z"]}}, "table.columns: .*no column 'z' to learn from: use one of x"),
        ({"table": {"ignore": ["label"]}}, "it is the column of labels"),
        ({"table": {"columns": ["x"], "ignore": ["x"]}}, "table.ignore is .'x'.: they are in table.columns"),
        ({"table": {"duplicates": "drop"}}, "table.duplicates is 'drop': use one of use, quarantine, fail"),
        ({"models": ["x3d"]}, "models: x3d: architecture is 'x3d': it learns from clips, .* logistic_regression, svm"),
        ({"models": [{"architecture": "svm", "features": ["motion"]}]}, "features is .'motion'.: these are computed"),
        ({"table": {"ignore": ["x"]}}, "columns to learn from is .*: it needs one or more"),
    ],
)
def test_mistakes_end_the_plan(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        plan(tmp_path, NUMBERS, **values)


def test_models_of_a_table_read_all_columns_and_there_are_no_shortcuts(tmp_path):
    made = plan(tmp_path, NUMBERS, models=["svm", "feature_mlp", "ensemble"])
    assert [model.settings.get("features") for model in made.models] == [["table"], ["table"], None]
    assert made.shortcuts == []
    assert [model.name for model in plan(tmp_path, NUMBERS).models] == [
        "logistic_regression",
        "svm",
        "gradient_boosting",
    ]


def test_thousands_of_columns_are_planned(tmp_path):
    wide = {f"column {k}": [str((i * k) % 13) for i in range(ROWS)] for k in range(1, 3001)}
    made = plan(tmp_path, wide)
    assert len(made.table.columns) + len(made.table.left_out) == 3000


def test_a_cell_of_a_megabyte_ends_the_plan(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read \(field larger than"):
        plan(tmp_path, NUMBERS | {"y": ["a", "b" * 2**20, "a"] * (ROWS // 3)})


def test_the_config_needs_no_table_for_videos():
    assert read_config({}).table.duplicates == "use"
