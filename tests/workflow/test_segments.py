"""A manifest with segments runs to the report, and to predictions of new segments; nothing is lost on the way."""

from fractions import Fraction

import pytest
from helpers.harness import PROJECT, Workflow
from helpers.numbered import numbers, write_numbered

from clipfold.storage.files import open_array, read_json, read_table

pytestmark = pytest.mark.workflow

RECORDINGS = 6
SECONDS = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Workflow:
    """A finished run on recordings with four segments each, one of which goes past the end."""
    directory = tmp_path_factory.mktemp("segments")
    rows = [["path", "label", "from", "to"]]
    for number in range(RECORDINGS):
        name = f"camera {number}.mp4"
        write_numbered(directory / name, range(25 * SECONDS), Fraction(1, 25), seed=number)
        rows += [[name, "calm", "", "3"], [name, "fight", "0:03", "0:00:06.5"], [name, "calm", "7", "11"]]
    rows.append(["camera 0.mp4", "fight", "20", "25"])
    workflow = Workflow(PROJECT, directory)
    workflow.write_rows(rows)
    workflow.configure(
        models=["logistic_regression"],
        columns={"start": "from", "end": "to"},
        decode={"size": 128},
        predict={"manifest": "new.csv", "bundle": "logistic_regression"},
        bundle={"models": ["logistic_regression"]},
    )
    (directory / "new.csv").write_text("path,from,to\ncamera 1.mp4,1,2\ncamera 1.mp4,2,4\ncamera 1.mp4,50,\n")
    workflow.run()
    return workflow


def test_each_segment_is_predicted_or_quarantined_with_its_reason(run):
    results = run.directory / "results"
    predicted = set(read_table(results / "evaluation/predictions.parquet", ["id"]).to_pandas().id)
    lost = read_table(results / "splits/quarantine.parquet").to_pylist()
    assert [(row["id"], row["status"]) for row in lost] == [("camera 0.mp4@20-25", "no_frames")]
    assert "from 20 s to 25 s: the video ends at 12 s" in lost[0]["reason"]
    cuts = ("0-3", "3-6.5", "7-11")
    assert predicted == {f"camera {number}.mp4@{cut}" for number in range(RECORDINGS) for cut in cuts}


def test_segments_hold_their_own_frames(run):
    for index in (run.directory / "results/frames").glob("*/index.parquet"):
        clips = open_array(index.with_name("clips.npy"))
        for row in read_table(index).to_pylist():
            if row["row"] is not None:
                start = {"0": 0, "3": 75, "7": 175}[row["id"].partition("@")[2].partition("-")[0]]
                assert numbers(clips[row["row"]]) == [start + i for i in row["clips_frames"]]


def test_segments_of_one_file_stay_together_and_are_no_duplicates(run):
    results = run.directory / "results"
    audit = read_json(results / "splits/audit.json")
    assert (audit["leaks"], audit["duplicates"], audit["groups"]["source"]) == (0, [], "proposed")
    folds = read_table(results / "splits/folds.parquet").to_pandas()
    folds["file"] = folds.id.str.partition("@")[0]
    assert (folds.groupby(["fold", "file"]).split.nunique() == 1).all()


def test_new_segments_are_predicted(run):
    table = read_table(run.directory / "results/predictions/predictions.parquet").to_pandas().set_index("id")
    assert table.status.to_dict() == {
        "camera 1.mp4@1-2": "ok",
        "camera 1.mp4@2-4": "ok",
        "camera 1.mp4@50-end": "no_frames",
    }
    assert table.group.unique().tolist() == ["camera 1.mp4"]


def test_nothing_runs_again_and_another_end_decodes_its_file_again(run):
    assert run.planned() == {}
    header, *rows = run.rows()
    rows[0][3] = "3.5"
    rows[1][2] = "3.5"
    run.write_rows([header, *rows])
    planned = run.planned()
    assert (planned["probe"], planned["decode"]) == (1, 1)
