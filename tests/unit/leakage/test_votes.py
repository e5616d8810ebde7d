"""Votes of keypoints: what is skipped to save time changes no count that matters."""

import numpy as np

from clipfold.leakage import votes
from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.keypoints import CHANGES, KEYPOINT, changed


def keypoints(random, videos, each=12):
    found = np.zeros(videos * each, KEYPOINT)
    found["video"], found["size"] = np.repeat(np.arange(videos), each), 8
    found["x"], found["y"] = random.uniform(10, 100, (2, len(found)))
    found["descriptor"] = random.integers(0, 256, (len(found), 128))
    return found


def test_bins_that_may_hold_enough_are_never_dropped():
    bins = np.random.default_rng(0).zipf(1.3, 5000).astype(np.int64) << 24
    _, where, counts = np.unique(bins, return_inverse=True, return_counts=True)
    crowded = votes._crowded(bins)
    assert crowded[counts[where] >= 4].all()
    assert (~crowded).sum() > 500


def test_a_keypoint_that_many_videos_have_finds_the_nearest_of_them():
    random = np.random.default_rng(0)
    videos = keypoints(random, 400)
    common, own = videos[:12]["descriptor"].copy(), videos[videos["video"] == 250].copy()
    noise = random.integers(-12, 13, videos["descriptor"].shape)
    alike = np.tile(common, (400, 1)).astype(int) + noise
    videos["descriptor"] = np.clip(alike, 0, 255)
    own["descriptor"] = videos["descriptor"][videos["video"] == 250]
    index = Index.build([videos], [400])
    similar = index.similar(own, -1)
    assert np.bincount(similar.asked).max() <= 100 * len(CHANGES)
    changes = [changed(own, 112, change) for change in range(len(CHANGES))]
    assert 250 in [ballot.video for ballot in votes.vote(index, changes, -1, (55.5, 55.5))]
