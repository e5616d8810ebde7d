import math

import numpy as np
import pytest
from helpers.made_up_inputs import pair, videos
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clipfold.delivery.distance import MOST, NEAREST, Reference, choose

MAYBE = st.floats(-50, 50) | st.just(math.nan)
TRAINING = arrays(float, (9, 2), elements=MAYBE, fill=st.nothing())


def table(values, groups):
    return {"group": groups, "input.a": values[:, 0].tolist(), "input.brightness": values[:, 1].tolist()}


def naive(reference, points, training, groups=None, own=None):
    """Compute distances video by video, on the scale that the reference found."""
    scale = reference._scale
    found = []
    for i, point in enumerate(points):
        each = []
        for j, other in enumerate(training):
            apart = [((p - q) / s) ** 2 for p, q, s in zip(point, other, scale, strict=True) if p == p and q == q]
            if apart and (own is None or groups[i] != groups[j]):
                each.append(math.sqrt(sum(apart) / len(apart)))
        nearest = sorted(each)[:NEAREST]
        found.append(sum(nearest) / len(nearest) if nearest else math.nan)
    return np.array(found) / reference._unit


@given(TRAINING, arrays(float, (4, 2), elements=MAYBE, fill=st.nothing()))
def test_it_is_the_mean_distance_to_the_nearest_videos_of_other_groups(training, new):
    groups = list("aabbccdde")
    reference = Reference(table(training, groups))
    np.testing.assert_allclose(reference.distances(new), naive(reference, new, training), atol=1e-4)
    own = naive(reference, training, training, groups, own=True)
    np.testing.assert_allclose(reference.own, own, atol=1e-4)


def test_one_in_twenty_training_videos_is_beyond_1():
    training, new = pair(0, (400, 1), (400, 1))
    reference = Reference(training.to_dict("list"))
    assert (reference.own > 1).mean() == 0.05
    values = np.array([new[f"input.{name}"] for name in reference.names]).T
    assert 0.02 < (reference.distances(values) > 1).mean() < 0.1  # and of videos like them


def test_videos_of_one_group_do_not_make_each_other_near():
    training, _ = pair(0, (60, 1))
    twins = training.loc[training.index.repeat(4)]
    own = Reference(twins.to_dict("list")).own
    assert own.min() > 0.05
    # A new video like a training video is near all the same.
    alone = Reference(twins.to_dict("list"))
    assert alone.distance({name: twins[f"input.{name}"].iloc[0] for name in alone.names}) < 1e-3


def test_the_farther_the_farther():
    training, _ = pair(0)
    reference = Reference(training.to_dict("list"))
    middle = {name: training[f"input.{name}"].median() for name in reference.names}
    far = [reference.distance(middle | {"brightness": 120.0 + 60 * i}) for i in range(5)]
    assert far == sorted(far)
    assert far[0] < 1 < far[-1] < math.inf


def test_another_camera_is_far_where_all_training_videos_have_one_size():
    training, _ = pair(0)
    reference = Reference(training.to_dict("list"))
    middle = {name: training[f"input.{name}"].median() for name in reference.names}
    assert reference.distance(middle | {"width": 642.0}) < 1
    assert 1 < reference.distance(middle | {"width": 1920.0, "height": 1080.0}) < 100
    assert reference.unusual(middle | {"width": 1920.0, "brightness": 200.0}) == ["width", "brightness"]
    assert reference.unusual(middle) == []
    assert reference.ranges["width"] == pytest.approx((640, 640))


def test_what_is_unknown_is_left_out():
    training, _ = pair(0)
    reference = Reference(training.to_dict("list"))
    middle = {name: training[f"input.{name}"].median() for name in reference.names}
    some = {name: value for name, value in middle.items() if name != "motion"}
    assert reference.distance(some) == reference.distance(middle | {"motion": math.inf}) < 1
    assert math.isnan(reference.distance({}))
    assert reference.unusual({}) == []
    without = Reference(training.drop(columns="input.motion").to_dict("list"))
    never = Reference(training.assign(**{"input.motion": None}).to_dict("list"))
    np.testing.assert_allclose(never.own, without.own)


def test_zero_is_as_near_as_almost_zero():
    training, _ = pair(0)
    reference = Reference(training.to_dict("list"))
    middle = {name: training[f"input.{name}"].median() for name in reference.names}
    assert reference.distance(middle | {"motion": 0.0}) == reference.distance(middle | {"motion": 0.05})


@given(st.integers(0, 100))
def test_the_order_of_training_videos_does_not_matter(seed):
    training = videos(np.random.default_rng(0), 20, 3)
    order = np.random.default_rng(seed).permutation(len(training))
    one, other = (Reference(t.to_dict("list")) for t in (training, training.iloc[order]))
    np.testing.assert_allclose(one.own[order], other.own, atol=1e-6)


@given(st.lists(st.text(max_size=5), unique=True, max_size=30), st.integers(0, 40), st.randoms())
def test_rows_are_chosen_by_id_whatever_their_order(ids, most, random):
    chosen = [ids[i] for i in choose(ids, most)]
    assert len(chosen) == min(most, len(ids))
    shuffled = random.sample(ids, len(ids))
    assert {shuffled[i] for i in choose(shuffled, most)} == set(chosen)
    assert set(chosen) <= {ids[i] for i in choose(ids, most + 1)}
    assert choose(ids) == list(range(len(ids)))


def test_thousands_of_rows_become_2000():
    assert len(choose([f"{i}.mp4" for i in range(5000)])) == MOST == 2000


def test_no_distance_is_usual_without_other_groups():
    with pytest.raises(ValueError, match="number of groups is 1"):
        Reference(table(np.zeros((3, 2)), ["a"] * 3))
    with pytest.raises(ValueError, match="give the inputs"):
        Reference({"group": ["a", "b"]})


def test_training_videos_that_are_all_the_same_have_a_distance_too():
    reference = Reference(table(np.ones((4, 2)), list("abcd")))
    assert reference.own.tolist() == [0, 0, 0, 0]
    assert reference.distance({"a": 1.0, "brightness": 1.0}) == 0
    assert 1 < reference.distance({"a": 5.0, "brightness": 1.0}) < math.inf
