"""Sound: does the file have any? In many data sets this alone tells where a video comes from."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {"present": "0 or 1"}


def features(probed: Mapping[str, Any]) -> dict[str, float]:
    """Say whether a video has sound, from its row of the probe's table."""
    return {"present": float(probed["has_audio"])}
