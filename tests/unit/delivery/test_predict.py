"""Rows in are rows out, whatever the videos; an interrupted prediction continues; all formats hold the same."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.finished_run import CLIPS, FEATURES

from clipfold.delivery import predict, prepare
from clipfold.delivery.external import external_test
from clipfold.delivery.outputs import SUFFIXES
from clipfold.delivery.predict import predict_to, predict_videos, read_predictions
from clipfold.delivery.run import collect_predictions
from clipfold.delivery.sources import find_videos
from clipfold.storage.files import read_json, read_table

pytestmark = pytest.mark.slow

COLUMNS = ["id", "path", "label", "p_real", "p_tampered", "spread", "distance", "status", "reason"]


@pytest.fixture
def odd(run, videos, tmp_path):
    """Videos with names that trip tools up, and files that are no videos; id -> path."""
    some = list(videos.values())
    names = ["a b,c.mp4", 'käse "x".mp4', "#%20'{}.mp4", "nan", "None.mp4"]
    for name, video in zip(names, some, strict=False):
        shutil.copy(video, tmp_path / name)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "copy.mp4").write_bytes(some[0].read_bytes())
    damaged = run.folder / "videos/01-harbour-1.mp4"
    paths = [tmp_path / name for name in [*names, "empty.mp4", "text.mp4", "copy.mp4", "gone.mp4"]]
    return {str(path): str(path) for path in [paths[-1], damaged, *paths[:-1], tmp_path]}


def test_every_video_has_a_row_in_order_and_the_unusable_a_reason(bundles, odd):
    table = bundles[FEATURES].predict(odd, workers=2)
    assert table.id.tolist() == table.path.tolist() == list(odd)
    assert table.columns[:9].tolist() == COLUMNS
    status = dict(zip((path.rpartition("/")[2] for path in odd), table.status, strict=True))
    bad = {name: each for name, each in status.items() if each != "ok"}
    assert bad.pop("01-harbour-1.mp4") in ("truncated", "unreadable")
    assert bad.pop(next(name for name in bad if name.startswith("test_"))) != "ok"  # a folder
    assert bad == {"gone.mp4": "missing", "empty.mp4": "empty", "text.mp4": "unreadable"}
    unusable = table.status != "ok"
    assert (table.reason[unusable] != "").all()
    assert (table.reason[~unusable] == "").all()
    assert table.loc[unusable, COLUMNS[2:7]].isna().all(axis=None)
    assert table.loc[~unusable, COLUMNS[2:7]].notna().all(axis=None)
    same = table[COLUMNS[2:7]][table.id.str.endswith(("a b,c.mp4", "/copy.mp4"))]
    pd.testing.assert_series_equal(*(row for _, row in same.iterrows()), check_names=False, rtol=1e-12)  # a duplicate


def test_nothing_usable_still_has_rows(bundles, tmp_path):
    table = predict_to(bundles[CLIPS], {"one": "gone.mp4", "two": "lost.mp4"}, tmp_path / "out.parquet")
    assert table.status.tolist() == ["missing", "missing"]
    assert pd.read_parquet(tmp_path / "out.parquet").p_real.isna().all()


def test_all_formats_hold_the_same(bundles, odd, tmp_path):
    expected = predict_to(bundles[FEATURES], odd, tmp_path / "out.parquet", workers=2)
    for suffix in SUFFIXES:
        predict.write_predictions(expected, tmp_path / f"again{suffix}")
        again = read_predictions(tmp_path / f"again{suffix}")
        assert again.columns.tolist() == expected.columns.tolist()
        pd.testing.assert_frame_equal(
            again.fillna({"reason": "", "label": ""}), expected.fillna({"label": ""}), check_dtype=False, rtol=1e-12
        )
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_that_look_like_numbers_or_nothing_stay(tmp_path, suffix):
    names = ["1", "007", "1e5", "None", "NA", "nan", "true", "2024-01-31", 'a,"b"', "ü\u2028"]
    table = pd.DataFrame({"id": names, "path": names, "label": names, "true_label": names, "group": names})
    predict.write_predictions(table.assign(p_NA=0.1), tmp_path / f"out{suffix}")
    again = read_predictions(tmp_path / f"out{suffix}")
    assert again.to_dict("list") == table.assign(p_NA=0.1).to_dict("list")


def test_predicting_in_parts_changes_nothing(bundles, videos, tmp_path, monkeypatch):
    paths = {name: str(path) for name, path in videos.items()}
    whole = predict_to(bundles[CLIPS], paths, tmp_path / "whole.parquet", workers=2)
    monkeypatch.setattr(predict, "PART", 3)
    done = []
    parts = predict_to(bundles[CLIPS], paths, tmp_path / "parts.parquet", workers=1, progress=done.append)
    pd.testing.assert_frame_equal(parts, whole, check_exact=False, rtol=0, atol=1e-6)
    assert done == [3, 3, 3, 3, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.parquet", "whole.parquet"]


@pytest.fixture
def interrupted(bundles, videos, tmp_path, monkeypatch):
    """Predict six videos in parts of two until the second is done; returns what names the rest."""
    monkeypatch.setattr(predict, "PART", 2)
    paths = {}
    for name, path in list(videos.items())[:6]:
        paths[name] = str(shutil.copy(path, tmp_path / name))
    seen = []

    def stop(videos):
        seen.append(videos)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_to(bundles[FEATURES], paths, tmp_path / "out.csv", workers=1, progress=stop)
    assert not (tmp_path / "out.csv").exists()
    return paths


@pytest.fixture
def decoded(monkeypatch):
    """List the videos that are decoded from now on."""
    names = []
    original = prepare.probe_shard

    def noted(paths, *arguments):
        names.extend(paths)
        original(paths, *arguments)

    monkeypatch.setattr(prepare, "probe_shard", noted)
    return names


def test_what_was_done_before_an_interruption_is_not_done_again(bundles, interrupted, decoded, tmp_path):
    table = predict_to(bundles[FEATURES], interrupted, tmp_path / "out.csv", workers=1)
    assert decoded == list(interrupted)[4:]
    pd.testing.assert_frame_equal(table, predict_to(bundles[FEATURES], interrupted, tmp_path / "new.csv", workers=1))
    assert not (tmp_path / ".out.csv.parts").exists()


def test_another_bundle_begins_anew(bundles, interrupted, decoded, tmp_path):
    predict_to(bundles[CLIPS], interrupted, tmp_path / "out.csv", workers=1)
    assert decoded == list(interrupted)


def test_a_video_that_was_written_to_since_is_done_again(bundles, interrupted, decoded, tmp_path):
    first, second, third = list(interrupted.values())[:3]
    shutil.copy(third, first)
    predict_to(bundles[FEATURES], interrupted, tmp_path / "out.csv", workers=1)
    assert decoded == [name for name, path in interrupted.items() if path in (first, second)] + list(interrupted)[4:]


@pytest.mark.parametrize("content", [b"", b"no table"])
def test_a_part_that_cannot_be_read_is_done_again(bundles, interrupted, decoded, tmp_path, content):
    for part in (tmp_path / ".out.csv.parts").iterdir():
        part.write_bytes(content)
    predict_to(bundles[FEATURES], interrupted, tmp_path / "out.csv", workers=1)
    assert decoded == list(interrupted)


def test_a_part_with_other_columns_is_done_again(bundles, interrupted, decoded, tmp_path):
    """As another version of clipfold may have left."""
    for part in (tmp_path / ".out.csv.parts").iterdir():
        pd.read_parquet(part).drop(columns="spread").to_parquet(part)
    predict_to(bundles[FEATURES], interrupted, tmp_path / "out.csv", workers=1)
    assert decoded == list(interrupted)


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.CSV"])
def test_an_unknown_format_is_refused_before_any_work(bundles, odd, decoded, tmp_path, name):
    with pytest.raises(ValueError, match=r"output is .*: use a name that ends in \.parquet, \.csv, \.jsonl"):
        predict_to(bundles[FEATURES], odd, tmp_path / name)
    assert decoded == []


def test_distance_tells_the_known_from_the_strange(bundles, videos, tmp_path):
    from clipfold.demo.encode import Take, encode

    flash = np.zeros((24, 64, 256, 3), np.uint8)
    flash[::2] = (255, 0, 255)
    (tmp_path / "flash.mp4").write_bytes(encode(flash, Take("h264", ".mp4", 24, 24), bits_per_pixel=2.0))
    strange = bundles[FEATURES].predict(tmp_path / "flash.mp4").distance[0]
    known = bundles[FEATURES].predict(videos.values()).distance
    assert known.max() < 1 < strange


# The external test


def table_of(scores):
    table = pd.DataFrame({"id": [f"v{i}" for i in range(len(scores))], "p_calm": 1 - scores, "p_fight": scores})
    return table.assign(status="ok", label=np.where(scores > 0.5, "fight", "calm"), seen=False)


def test_labels_that_were_given_measure_the_bundle():
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 0.7, 0.6, 0.4])
    true = ["calm"] * 4 + ["fight"] * 4
    table = table_of(scores)
    table.loc[7, "status"] = "missing"
    labels = dict(zip(table.id, true, strict=True)) | {"v0": " calm\u00a0", "v1": "other"}
    found = external_test(table, ["calm", "fight"], labels, {"v0": "a", "v2": "a"})
    assert (found.videos, found.groups, found.grouped, found.other) == (6, 5, False, {"other": 1})
    assert found.confusion == [[2, 1], [0, 3]]
    values = {row["metric"]: row["value"] for row in found.metrics if not row["class"] and row["decision"] != "val"}
    assert values["accuracy"] == pytest.approx(5 / 6)
    assert values["roc_auc"] == pytest.approx(7 / 9)


def test_without_a_label_that_the_model_knows_there_is_no_test():
    table = table_of(np.array([0.2, 0.8]))
    assert external_test(table, ["calm", "fight"], {}, {}) is None
    assert external_test(table, ["calm", "fight"], {"v0": "other"}, {}) is None


def test_labels_of_one_class_still_have_an_accuracy():
    found = external_test(table_of(np.array([0.2, 0.8])), ["calm", "fight"], {"v0": "calm", "v1": "calm"}, {})
    values = {row["metric"]: row["value"] for row in found.metrics if not row["class"] and row["decision"] != "val"}
    assert values["accuracy"] == 0.5
    assert np.isnan(values["roc_auc"])


def test_training_videos_are_no_part_of_an_external_test():
    table = table_of(np.array([0.1, 0.9, 0.2, 0.8])).assign(seen=[True, True, False, False])
    labels = {"v0": "fight", "v1": "calm", "v2": "calm", "v3": "fight"}
    found = external_test(table, ["calm", "fight"], labels, {})
    assert (found.videos, found.seen) == (2, 2)
    assert next(row for row in found.metrics if row["metric"] == "roc_auc")["value"] == 1.0
    assert external_test(table.assign(seen=True), ["calm", "fight"], labels, {}) is None


def test_a_training_video_is_recognised_by_its_content(bundles, run, tmp_path):
    """Wherever it lies now, whatever its name."""
    used = read_table(run.results / "splits.parquet", ["id"]).column("id").to_pylist()[0]
    copy = shutil.copy(run.folder / used, tmp_path / f"other{Path(used).suffix}")
    longer = tmp_path / "longer.mp4"
    longer.write_bytes(Path(copy).read_bytes() + b"\0" * 16)
    table = predict_videos(bundles[FEATURES], {"copy": str(copy), "longer": str(longer)}, 1)
    assert table.seen.tolist() == [True, False]
    assert set(table.bundle) == {bundles[FEATURES].id}


def test_segments_of_a_table_are_predicted_in_the_order_of_its_rows(bundles, videos, tmp_path, monkeypatch):
    one, two, *_ = videos.values()
    rows = ["path,start,end", f"{one},99,", f"{two},0,", f"{one},0.5,1", f"{two},,", f"{one},0,0.5"]
    (tmp_path / "new.csv").write_text("\n".join(rows))
    found = find_videos([str(tmp_path / "new.csv")], io.StringIO())
    table = predict_to(bundles[FEATURES], found.paths, tmp_path / "out.csv", 1, stated=found.stated)
    assert table.id.tolist() == [f"{one}@99-end", f"{two}@0-end", f"{one}@0.5-1", str(two), f"{one}@0-0.5"]
    assert table.status.tolist() == ["no_frames", "ok", "ok", "ok", "ok"]
    whole, same = (table.loc[table.id == name, COLUMNS[2:7]].iloc[0].tolist() for name in (str(two), f"{two}@0-end"))
    assert whole == same
    assert found.groups == {name: str(one if name.startswith(str(one)) else two) for name in table.id}
    monkeypatch.setattr(predict, "PART", 2)
    parts = predict_to(bundles[FEATURES], found.paths, tmp_path / "parts.csv", 1, stated=found.stated)
    pd.testing.assert_frame_equal(parts, table, check_exact=False, rtol=0, atol=1e-6)


def test_the_report_learns_of_an_external_test_what_the_page_shows(bundles, videos, tmp_path):
    bundle, shards = bundles[FEATURES], [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    paths = {}
    for number, video in enumerate(list(videos.values())[:4]):
        path = tmp_path / f"{number}{video.suffix}"
        path.write_bytes(video.read_bytes() + b"\0\0\0\x08free")  # none of the training videos, by content
        paths[f"v{number}"] = str(path)
    for shard, names in zip(shards, (["v0", "v1"], ["v2", "v3"]), strict=True):
        predict_to(bundle, {name: paths[name] for name in names}, shard, 1)
    labels = {"v0": "real", "v1": "tampered", "v2": "real", "v3": "tampered"}
    outputs = tmp_path / "all.csv", tmp_path / "index.html", tmp_path / "external.json"
    collect_predictions(bundle, shards, labels, {}, [outputs[0]], *outputs[1:])
    external = read_json(outputs[2])
    assert (external["videos"], external["bundle"], external["classes"]) == (4, FEATURES, bundle.classes)
    values = {row["metric"]: row["new"]["value"] for row in external["metrics"]}
    right = read_predictions(outputs[0]).label == [*labels.values()]
    assert values["accuracy"] == right.mean()
    assert f"{values['roc_auc']:.3f}" in outputs[1].read_text()
    collect_predictions(bundle, shards, {}, {}, [outputs[0]], *outputs[1:])
    assert read_json(outputs[2]) is None
