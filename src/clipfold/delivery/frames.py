"""Turn frames that a caller has in memory into what a bundle reads: by the same views as a file."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery.feature_groups import feature_groups
from clipfold.delivery.prepare import Prepared
from clipfold.features.extract import shown_views, video_features
from clipfold.features.registry import GROUPS
from clipfold.storage.files import Array
from clipfold.video.in_memory import take_views
from clipfold.video.views import Timeline

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle


def prepare_frames(bundle: "OpenBundle", frames: Array, fps: float) -> Prepared:
    """Take the views of frames, see `Bundle.predict_frames`."""
    good = isinstance(frames, np.ndarray) and frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3
    shape = f"{frames.dtype}{list(frames.shape)}" if isinstance(frames, np.ndarray) else type(frames).__name__
    require(good and min(frames.shape) > 0, "frames", shape, "use uint8 of (frames, height, width, 3), RGB")
    require(0 < fps < 1e4, "fps", fps, "use the frames per second")
    timeline = Timeline("", [number / fps for number in range(len(frames))], [])
    taken = take_views(frames, timeline, bundle.views, "rgb24" if bundle.modality == "image" else "yuv420p")
    probed = {
        **dict.fromkeys(("codec", "encoder", "bitrate", "has_audio", "size_bytes")),
        "frames": len(frames),
        "fps": fps,
        "duration": len(frames) / fps,
        "height": frames.shape[1],
        "width": frames.shape[2],
    }
    features = None
    if "features" in bundle.reads:
        groups = feature_groups(bundle)
        others = ", ".join(name for name in groups if GROUPS[name].view == "metadata")
        require(not others, "frames", "an array", f"this model reads {others} features, which only a file has")
        shown = shown_views(taken.arrays, taken.facts)
        features = pd.DataFrame([video_features(probed, shown, groups)], index=[""])
        features = bundle.with_embeddings(features, taken.arrays["clips"][None])
    return Prepared(
        videos=[{"id": "", "path": "", "status": "ok", "reason": ""}],
        usable=[""],
        probed={"": probed},
        clips=taken.arrays["clips"][None],
        boxes=np.array([taken.facts["clips_box"]], np.int64),
        frames=[taken.facts["clips_frames"]],
        features=features,
    )
