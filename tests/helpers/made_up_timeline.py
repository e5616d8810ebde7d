"""Timelines of scores as given, a picture, a hostile name."""

import cv2
import numpy as np

from clipfold.delivery.timeline import Timeline

NASTY = "\"><script>alert('x')</script>&.mp4"
JPEG = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()


def timeline(score, *, window=4.0, stride=1.0, status=None, **changes):
    """A timeline of two classes, of which `fight` scores as given."""
    score = np.asarray(score, np.float64)
    start = np.arange(len(score)) * stride
    status = ["ok"] * len(score) if status is None else status
    given = {
        "video": "a.mp4",
        "duration": float(start[-1] + window) if len(score) else 0.0,
        "classes": ("calm", "fight"),
        "positive": "fight",
        "start": start,
        "end": start + window,
        "probabilities": np.stack([1 - score, score], 1),
        "status": status,
        "reason": ["" if each == "ok" else "broken" for each in status],
    }
    return Timeline(**given | changes)
