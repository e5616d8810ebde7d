"""Turn scores of overlapping windows into scores over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from clipfold.checks import require
from clipfold.delivery.segments import Segment, segments
from clipfold.status import Status

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]

BACKGROUND = "background"
"""The class of videos of several classes that stands for nothing of interest, and has no segments."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model says of each window of one video.

    Attributes:
        video: Name of the video.
        duration: Its length in seconds.
        classes: Names of the classes.
        positive: The class of interest, None where all are.
        start: Begin of each window in seconds, (windows,), ascending by at least a millisecond.
        end: End of each window in seconds, (windows,).
        probabilities: (windows, classes), 0 to 1; rows of windows that could not be used are ignored.
        status: `ok`, or the kind of problem of each window.
        reason: The problem of each window in words, or since when nothing changed if it was not looked at; else empty.
        threshold: Score that begins a segment, unless another is given.

    Raises:
        ValueError: Lengths differ, windows are out of order, or probabilities are outside of 0 to 1.
    """

    video: str
    duration: float
    classes: Sequence[str]
    positive: str | None
    start: Array
    end: Array
    probabilities: Array
    status: Sequence[str]
    reason: Sequence[str]
    threshold: float = 0.5

    def __post_init__(self) -> None:
        windows = len(self.start)
        lengths = [len(self.end), len(self.probabilities), len(self.status), len(self.reason)]
        remedy = f"give an end, probabilities, a status and a reason for each of the {windows} windows"
        require(lengths == [windows] * 4, "lengths of end, probabilities, status, reason", lengths, remedy)
        shape = np.shape(self.probabilities)
        require(shape == (windows, len(self.classes)), "shape of probabilities", shape, "use (windows, classes)")
        begin, end = _milliseconds(self.start), _milliseconds(self.end)
        ordered = (np.diff(begin) > 0).all() and (end > begin).all() and np.isfinite([begin, end]).all()
        require(bool(ordered), "windows of", self.video, "give them in order, none empty, none with the same begin")
        given = np.asarray(self.probabilities)[self.usable]
        known = bool(((given >= 0) & (given <= 1)).all())
        require(known, "probabilities of", self.video, "use numbers from 0 to 1 where the status is ok")
        require(self.positive is None or self.positive in self.classes, "positive", self.positive, "use a class")
        require(0 <= self.duration < np.inf, "duration", self.duration, "use seconds")

    @cached_property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which windows could be used, (windows,)."""
        return np.array([status == Status.OK for status in self.status], bool)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes whose segments are wanted: the class of interest, else all but the background."""
        return (self.positive,) if self.positive is not None else tuple(c for c in self.classes if c != BACKGROUND)

    @cached_property
    def steps(self) -> tuple[Array, Array]:
        """Scores over time, where several windows cover each moment.

        The score of a moment is the mean over the usable windows that cover it. An event shorter than a window raises
        all windows that see it, and the mean is highest where all of these overlap: around the event. So segments are
        finer than windows, and one odd window among calm ones weighs little. The mean changes only where a window
        begins or ends; with windows of whole strides, a step is a stride.

        Returns:
            Edges of the steps in seconds, (steps + 1,), whole milliseconds; empty without windows. Scores, (steps,
            classes), NaN where no usable window covers the step.
        """
        begin, end = _milliseconds(self.start), _milliseconds(self.end)
        edges = np.unique([begin, end])
        steps = max(len(edges) - 1, 0)
        total, count = np.zeros((steps, len(self.classes))), np.zeros((steps, 1))
        first, stop = np.searchsorted(edges, begin), np.searchsorted(edges, end)
        for k in range(max(stop - first, default=0)):  # all windows' k-th step at once: each begins at another
            some = self.usable & (first + k < stop)
            total[first[some] + k] += np.asarray(self.probabilities)[some]
            count[first[some] + k] += 1
        return edges / 1000, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def score(self, label: str) -> Array:
        """Return the scores of one class over time, (steps,)."""
        scores: Array = self.steps[1][:, list(self.classes).index(label)]
        return scores

    def segments(
        self, threshold: float | None = None, low: float | None = None, least_s: float = 0.0, gap_s: float = 0.0
    ) -> list[Segment]:
        """Find the parts of the video in which a wanted class scores high.

        Args:
            threshold: Score that begins a segment; None for that of the timeline.
            low: Score below which a segment ends; None for the threshold.
            least_s: Shortest segment in seconds.
            gap_s: Segments less than this apart are joined, in seconds.

        Returns:
            See `clipfold.delivery.segments.segments`.

        Raises:
            ValueError: A number is outside of its range.
        """
        return segments(self, self.threshold if threshold is None else threshold, low, least_s, gap_s)

    def to_frame(self) -> "pd.DataFrame":
        """Return a row per window: `start`, `end`, `p_CLASS` for each class, `status`, `reason`."""
        import pandas as pd

        known = np.where(self.usable[:, None], self.probabilities, np.nan)
        shares = {f"p_{name}": known[:, i] for i, name in enumerate(self.classes)}
        ends = {"start": self.start, "end": self.end}
        return pd.DataFrame({**ends, **shares, "status": [str(s) for s in self.status], "reason": list(self.reason)})

    def __repr__(self) -> str:
        return f"<clipfold timeline of {self.video}: {self.duration:.1f} s, {len(self.start)} windows>"

    def _repr_html_(self) -> str:
        import pandas as pd

        columns = ["label", "start", "end", "peak", "peak_time", "mean"]
        table = pd.DataFrame([vars(segment) for segment in self.segments()], columns=columns)
        what = f"{len(table)} segments from {self.threshold:.2f} on"
        return f"<b>{escape(repr(self))}</b><p>{what}</p>{table.to_html(index=False, float_format='{:.3f}'.format)}"


def _milliseconds(seconds: Array) -> Array:
    """Round to whole milliseconds: what files of segments hold, and `k * stride` is seldom exact."""
    return np.round(np.asarray(seconds, np.float64) * 1000)
