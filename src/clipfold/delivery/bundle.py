"""A trained model with all that it needs to answer: what `clipfold.load` returns."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import pandas as pd

from clipfold.checks import require
from clipfold.delivery.frames import prepare_frames
from clipfold.delivery.golden import golden_problems
from clipfold.delivery.opened import OpenBundle
from clipfold.delivery.predict import answer, predict_videos
from clipfold.delivery.rows import find_rows, predict_rows, rows_of
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.windows import watch
from clipfold.storage.files import Array, PathLike
from clipfold.video.container import Unusable


class Bundle(OpenBundle):
    """A trained model, ready to predict; see `OpenBundle` for its facts."""

    def predict(self, videos: PathLike | Iterable[PathLike] | pd.DataFrame, workers: int | None = None) -> pd.DataFrame:
        """Predict video files, or the rows of a table.

        Args:
            videos: A file, or several; for a model that learned from a table, a table or data frame with its columns.
            workers: Processes to decode with; all cores by default.

        Returns:
            A row for each video, also for those that cannot be used; one for a file that is named twice. See
            `clipfold.delivery.predict.predict_videos`.

        Raises:
            ValueError: No video is named, or a table lacks a column.
        """
        if isinstance(videos, pd.DataFrame):
            return predict_rows(self, rows_of(self, videos))
        several = [videos] if isinstance(videos, str | Path) else videos
        if self.table:
            return predict_rows(self, find_rows(self, map(str, several)))
        return predict_videos(self, {str(path): str(path) for path in several}, workers)

    def predict_frames(self, frames: Array, fps: float) -> pd.DataFrame:
        """Predict one video that is given as frames, as from a camera.

        Args:
            frames: RGB, uint8 (frames, height, width, 3).
            fps: Frames per second.

        Returns:
            One row, as `predict` gives; `id` and `path` are empty.

        Raises:
            ValueError: The frames have another shape or type, or the bundle reads facts that only a file has.
        """
        require(not self.table, "bundle", self.name, "it predicts the rows of a table: use predict")
        return answer(self, prepare_frames(self, frames, fps))

    def timeline(self, video: PathLike, window: float = 4.0, stride: float = 1.0, label: str | None = None) -> Timeline:
        """Predict windows of a long video, decoding it once, in memory that does not depend on its length.

        Args:
            video: A file.
            window: Length of a window, in seconds.
            stride: Time from the start of a window to that of the next, in seconds.
            label: The class of interest; by default the second of two, and all of more.

        Raises:
            ValueError: The video cannot be read, or a length is not positive.
        """
        require(not self.table, "bundle", self.name, "it predicts the rows of a table: use predict")
        try:
            return watch(self, str(video), window, stride, label=label).timeline
        except Unusable as error:
            raise ValueError(f"{video} is {error.status}: {error.reason}") from None

    def golden_problems(self) -> list[str]:
        """Run the golden test; returns what differs, see `clipfold.delivery.golden`."""
        return golden_problems(self)

    def __repr__(self) -> str:
        return f"<clipfold bundle {self.name} ({self.id}): {', '.join(self.classes)}>"

    def _repr_html_(self) -> str:
        decisions = ("", "argmax" if self.description["threshold"] is None else "val")
        rows = [row for row in self.description["metrics"] if row["decision"] in decisions]
        table = pd.DataFrame(rows, columns=["metric", "value", "low", "high"])
        return f"<b>{escape(repr(self))}</b>{table.to_html(index=False, na_rep='', float_format='{:.3f}'.format)}"
