"""A fake of two people never is tested by a model that saw the real video of one of them."""

from helpers import layouts

from clipfold.manifest.make.found import Options
from clipfold.manifest.make.kinds import find_rows
from clipfold.manifest.make.write import write_manifest
from clipfold.manifest.read import read_manifest
from clipfold.settings import SplitSettings
from clipfold.splits.assign import assign


def leaked(videos, groups):
    """Count the tested fakes of which a source's real video is in training."""
    found = set()
    for splits in assign([v.label for v in videos], groups, SplitSettings(folds=5), seed=0):
        seen = {v.values[0] for v, split in zip(videos, splits, strict=True) if v.label == "real" and split == "train"}
        tested = (v for v, split in zip(videos, splits, strict=True) if v.label == "fake" and split == "test")
        found |= {v.id for v in tested if seen & {*v.values}}
    return len(found)


def test_no_fake_is_tested_with_the_real_video_of_its_source_in_training(tmp_path):
    layouts.faceforensics(tmp_path)
    write_manifest(find_rows("faceforensics", tmp_path, Options()), tmp_path / "videos.csv", force=False)
    videos = read_manifest(tmp_path / "videos.csv")
    assert len({v.group for v in videos}) == 6
    assert leaked(videos, [v.values[0] for v in videos]) > 0  # with one person as the group
    assert leaked(videos, [v.group for v in videos]) == 0
