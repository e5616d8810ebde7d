import pytest

from clipfold.settings import (
    DecodeSettings,
    PolicySettings,
    ProbeSettings,
    SplitSettings,
)
from clipfold.video.views import build_views


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProbeSettings(min_frames=0), "probe.min_frames is 0: use 1 or more"),
        (lambda: ProbeSettings(timeout_s=0), "probe.timeout_s is 0"),
        (lambda: DecodeSettings(size=8), "decode.size is 8: use 16 to 1024 pixels"),
        (lambda: DecodeSettings(views={}), "keep a view named 'clips'"),
        (lambda: SplitSettings(folds=1), "splits.folds is 1: use 2 to 100"),
        (lambda: SplitSettings(scheme="kfold"), "splits.scheme is 'kfold': use one of grouped, stable"),
        (lambda: SplitSettings(repeats=0), "splits.repeats is 0"),
        (lambda: SplitSettings(scheme="column", repeats=2), "splits.repeats is 2: use 1: column tests the same"),
        (lambda: SplitSettings(validation=0.6), "splits.validation is 0.6"),
        (lambda: PolicySettings(corrupt="drop"), "policy.corrupt is 'drop': use one of quarantine, fail, use"),
        (lambda: PolicySettings(missing="use"), "policy.missing is 'use': use one of quarantine, fail$"),
        (lambda: build_views({"a": {"kind": "unform"}}, 112), "decode.views.a.kind is 'unform': use one of uniform"),
        (lambda: build_views({"a": {"kind": "luma", "frames": 2}}, 112), "decode.views.a: .*missing.*'rate'"),
        (lambda: build_views({"a": {"kind": "uniform", "frames": 0}}, 112), "frames is 0: use a positive number"),
        (lambda: build_views({"a": {"kind": "uniform", "frames": 4.5}}, 112), "frames is 4.5: use a whole number"),
        (lambda: build_views({"a": {"kind": "uniform", "frames": True}}, 112), "frames is True: use a positive number"),
        (lambda: build_views({"a": {"kind": ["luma"]}}, 112), r"kind is \['luma'\]: use one of uniform"),
        (lambda: build_views({"index": {"kind": "uniform", "frames": 4}}, 112), "rename the view"),
        (
            lambda: build_views({"clips": {"kind": "uniform", "frames": 4, "size": 64}}, 112),
            "set its size by decode.size",
        ),
        (
            lambda: build_views({"clips": {"kind": "luma", "frames": 4, "size": 112, "rate": 5}}, 112),
            "use one of uniform",
        ),
        (
            lambda: build_views({"a": {"kind": "uniform", "frame": 4}}, 112),
            "view takes clips, frames, region, size",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()
