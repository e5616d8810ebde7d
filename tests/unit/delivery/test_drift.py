import json
from dataclasses import asdict

import numpy as np
import pytest
from helpers.made_up_inputs import CLASSES, pair, with_distances
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfold.delivery.drift import drift


def compared(training, new):
    return drift(*with_distances(training, new), CLASSES)


def levels(found):
    return {item.name: item.level for item in found.items if item.level != "none"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "new", "grouped"),
    [((100, 1), (100, 1), False), ((100, 1), (30, 1), False), ((30, 4), (30, 4), True), ((23, 5), (12, 3), True)],
)
def test_videos_like_those_of_training_are_no_drift_95_times_of_100(training, new, grouped):
    verdicts = []
    for seed in range(100):
        old, found = pair(seed, training, new)
        verdicts.append(compared(old, found if grouped else found.drop(columns="group")).verdict)
    assert verdicts.count("none") >= 95


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recordings", [(60, 1), (40, 3)])
def test_darker_videos_are_a_worry(seed, recordings):
    training, new = pair(seed, recordings, recordings)
    new["input.brightness"] -= 60
    found = compared(training, new)
    assert found.verdict == "worry"
    assert levels(found) == {"brightness": "worry"}
    assert found.reason.startswith("Brightness differs clearly from the training data")


@pytest.mark.parametrize("recordings", [(60, 1), (40, 3)])
def test_another_camera_is_a_worry(recordings):
    training, new = pair(0, recordings, recordings)
    found = compared(training, new.assign(**{"input.width": 1920.0, "input.height": 1080.0}))
    assert found.verdict == found.far_level == "worry"
    assert levels(found) == {"width": "worry", "height": "worry"}
    assert found.far > 0.9
    assert "Width and height differ clearly" in found.reason
    assert "% of the videos are farther" in found.reason
    first = found.farthest[0]
    assert {"width", "height"} <= {each["name"] for each in first["unusual"]}
    assert first["distance"] == max(row["distance"] for row in found.farthest)


def test_scores_alone_are_worth_a_look():
    training, new = pair(0)
    new["p_yes"] = 0.8 + 0.2 * new["p_yes"]
    found = compared(training, new.assign(p_no=1 - new["p_yes"], label="yes"))
    assert found.verdict == "look"
    assert levels(found) == {"yes": "look"}
    assert found.reason == "The probability of yes is distributed otherwise than in training."
    assert [row["new"] for row in found.labels] == [0, 1]
    assert sum(row["training"] for row in found.labels) == pytest.approx(1)


def test_unknown_combinations_of_usual_inputs_are_far():
    training, new = pair(0, (300, 1), (300, 1))
    for table, sign in ((training, 1), (new, -1)):  # dark videos are grey in training, colourful now, and so on
        for name in ("saturation", "contrast"):
            table[f"input.{name}"] = 45 + sign * (table["input.brightness"] - 120)
    for name in ("duration_s", "bits_per_pixel", "sharpness", "motion", "dark_share", "audio", "fps"):
        training[f"input.{name}"] = new[f"input.{name}"] = 0.5
    found = compared(training, new)
    assert "brightness" not in levels(found)
    assert found.far > 0.25
    assert found.far_level == "worry"


def test_nearer_than_training_is_no_drift():
    training, _ = pair(0)
    found = compared(training, training.drop(columns="group"))
    assert (found.verdict, found.far) == ("none", 0)


@settings(max_examples=4)
@given(st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(seed):
    training, new = with_distances(*pair(seed, (12, 3), (9, 4)))
    random = np.random.default_rng(seed)
    shuffled = [t.iloc[random.permutation(len(t))].reset_index(drop=True) for t in (training, new)]
    assert asdict(drift(*shuffled, CLASSES)) == asdict(drift(training, new, CLASSES))


@pytest.mark.parametrize("missing", ["all", "column", "half"])
def test_an_input_that_went_missing_is_a_worry(missing):
    training, new = pair(0)
    if missing == "column":
        new = new.drop(columns="input.motion")
    else:
        new.loc[: len(new) // (2 if missing == "half" else 1), "input.motion"] = np.nan
    found = compared(training, new)
    assert levels(found) == {"motion": "worry"}
    assert np.isnan(found.items[0].new) == (missing != "half")


def test_an_input_that_always_was_missing_is_none():
    training, new = pair(0)
    found = compared(training.assign(**{"input.motion": np.nan}), new.assign(**{"input.motion": None}))
    assert found.verdict == "none"
    assert next(item.p for item in found.items if item.name == "motion") == 1


def test_trifles_are_no_drift():
    training, new = pair(0)
    training["input.fps"], new["input.fps"] = 30.0, 29.97
    training["input.brightness"] = np.linspace(100, 100.3, len(training))
    new["input.brightness"] = training["input.brightness"] + 0.2
    found = compared(training, new)
    fps = next(item for item in found.items if item.name == "fps")
    assert fps.ks == 1
    assert fps.p < 0.001
    assert (fps.level, found.verdict) == ("none", "none")


def test_few_videos_are_said_to_be_few():
    training, new = pair(0, new=(4, 1))
    found = compared(training, new)
    assert found.verdict == "none"
    assert "But 4 independent videos and 100 independent videos of training would show only a large" in found.reason
    assert "independent" not in compared(*pair(0)).reason
    one = compared(*pair(0, new=(1, 1)))
    assert "But 1 independent video and" in one.reason
    # But even those that are all unlike training are enough to worry.
    assert compared(training, new.assign(**{"input.width": 3840.0})).verdict == "worry"


def test_groups_of_new_videos_are_used_if_known():
    training, new = pair(0, (40, 1), (2, 30))
    known, unknown = compared(training, new), compared(training, new.drop(columns="group"))
    assert (known.groups, known.videos, known.grouped, known.verdict) == (2, 60, True, "none")
    assert (unknown.groups, unknown.videos, unknown.grouped, unknown.verdict) == (60, 60, False, "worry")
    some = new.assign(group=["", None] * 20 + ["g"] * 20)
    assert compared(training, some).groups == 41


def test_rows_that_were_not_predicted_are_counted_only():
    training, new = with_distances(*pair(0))
    bad = new.head(7).assign(status=["truncated"] * 5 + ["missing"] * 2, label=None, distance=np.nan)
    bad["id"] = "bad/" + bad["id"]
    bad.loc[:, [name for name in bad if name.startswith(("p_", "input."))]] = np.nan
    both = drift(training, bad.merge(new, how="outer"), CLASSES)
    assert both.excluded == {"missing": 2, "truncated": 5}
    assert asdict(both) | {"excluded": {}} == asdict(drift(training, new, CLASSES))


def test_it_is_plain_data():
    found = compared(*pair(0, (20, 1), (20, 1)))
    assert json.loads(json.dumps(asdict(found)))["verdict"] == "none"
    for item in found.items:
        assert [sum(bars) for bars in item.bars] == pytest.approx([1, 1])


def test_mistakes_say_what_is_missing():
    training, new = with_distances(*pair(0, (10, 1), (10, 1)))
    with pytest.raises(ValueError, match=r"predictions: columns is .*: add 'p_yes'"):
        drift(training, new.drop(columns="p_yes"), CLASSES)
    with pytest.raises(ValueError, match=r"reference: columns is .*: add 'group'"):
        drift(training.drop(columns="group"), new, CLASSES)
    with pytest.raises(ValueError, match="status ok is 0"):
        drift(training, new.assign(status="missing"), CLASSES)
