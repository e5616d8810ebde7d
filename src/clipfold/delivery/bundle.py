"""A trained model with all that it needs to answer: `clipfold.load`."""

import hashlib
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.config import build
from clipfold.delivery.distance import Reference
from clipfold.delivery.format import DESCRIPTION, ENCODERS, SUFFIX, open_bundle, read_description
from clipfold.delivery.frames import prepare_frames
from clipfold.delivery.golden import golden_problems
from clipfold.delivery.predict import answer, predict_videos
from clipfold.delivery.reference import read_reference
from clipfold.delivery.timeline import Timeline
from clipfold.delivery.windows import watch
from clipfold.evaluation.calibration import scale
from clipfold.features.registry import VIEWS
from clipfold.models.load import FittedModel, load
from clipfold.settings import DecodeSettings, PolicySettings, ProbeSettings
from clipfold.storage.files import Array, PathLike
from clipfold.video.views import View, build_views

VIEW_BYTES = 1 << 28
"""Most bytes of what is kept of a video: forty times the usual."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a bundle says of several videos.

    Args:
        probabilities: Calibrated class probabilities, mean over the fits, float64 (videos, classes); rows sum to 1.
        spread: Standard deviation over the fits of the probability of the named class, float64 (videos,).
        labels: Name of the class: by the threshold for two classes, else the most probable.
    """

    probabilities: Array
    spread: Array
    labels: list[str]


class Bundle:
    """A trained model, ready to predict.

    Args:
        folder: The bundle's folder, checked by `open_bundle`.
        description: Its `bundle.json`.

    Attributes:
        description: All facts about the bundle.
        name: Name of the model.
        classes: Class names, in the order of the probabilities.
        probe: Settings with which the training videos were probed; `decode` and `policy` likewise.
        views: The views that the models read.

    Raises:
        ValueError: Settings in the description are wrong.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        self.description = description
        self.name: str = description["name"]
        self.classes: list[str] = description["classes"]
        self.probe = build(ProbeSettings, "probe", description["probe"])
        self.decode = build(DecodeSettings, "decode", description["decode"])
        self.policy = build(PolicySettings, "policy", description["policy"])
        self.views: dict[str, View] = build_views(self.decode.views, self.decode.size)
        kept = sum(math.prod(view.shape) for view in self.views.values())
        require(kept <= VIEW_BYTES, "decode.views", f"{kept} bytes a video", f"use views of {VIEW_BYTES} or less")
        self._lock = threading.Lock()
        self._kept = ExitStack()

    @classmethod
    def open(cls, path: PathLike) -> Self:
        """Open a bundle: a folder, or a file with the suffix `.clipfold`.

        Raises:
            ValueError: It is no bundle, is damaged, or holds what no bundle holds.
        """
        inside = sorted(Path(path).glob(f"*{SUFFIX}")) if not Path(path, DESCRIPTION).is_file() else []
        kept = ExitStack()
        path = inside[0] if len(inside) == 1 else path  # the folder of a run's bundle
        folder = kept.enter_context(open_bundle(path))
        with kept:
            bundle = cls(folder, read_description(folder))
            bundle._kept = kept.pop_all()  # a file is unpacked into a folder that lasts as long as the bundle
        return bundle

    def close(self) -> None:
        """Remove what was unpacked; done at the end of the process, too."""
        self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def fits(self) -> list[FittedModel]:
        """The fitted models, one for each fold; loaded when first used.

        Raises:
            ValueError: One cannot be used, or needs what is not in the bundle.
        """
        return [self._load(fit["folder"]) for fit in self.description["fits"]]

    def _load(self, name: str) -> FittedModel:
        folder = self.folder / name
        members = {path.name: path for path in sorted((folder / "members").glob("*"))}
        with _usable(name):
            model = load(folder, members, self.folder / ENCODERS)
            require(model.classes == self.classes, "classes", model.classes, f"make it of {self.classes}")
            known = [*VIEWS, "clips"] if "features" in model.reads else ["clips"]
            require({*known} <= {*self.views}, "decode.views", [*self.views], f"it needs {', '.join(known)}")
        return model

    @property
    def id(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        return hashlib.sha256((self.folder / DESCRIPTION).read_bytes()).hexdigest()[:16]

    @cached_property
    def reference(self) -> Reference:
        """The training videos that it remembers, see `clipfold.delivery.reference`."""
        return Reference(read_reference(self.folder, self.classes).to_dict("list"))

    @property
    def reads(self) -> frozenset[str]:
        """What the fits predict from: `features`, `clips` or both."""
        return self.fits[0].reads

    def predict(self, videos: PathLike | Iterable[PathLike], workers: int | None = None) -> pd.DataFrame:
        """Predict video files.

        Args:
            videos: A file, or several.
            workers: Processes to decode with; all cores by default.

        Returns:
            A row for each video, also for those that cannot be used: see `clipfold.delivery.predict.predict_videos`.
        """
        several = [videos] if isinstance(videos, str | Path) else videos
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
        return answer(self, prepare_frames(self, frames, fps))

    def timeline(self, video: PathLike, window: float = 4.0, stride: float = 1.0) -> Timeline:
        """Predict windows of a long video, decoding it once, in memory that does not depend on its length.

        Args:
            video: A file.
            window: Length of a window, in seconds.
            stride: Time from the start of a window to that of the next, in seconds.

        Raises:
            Unusable: The video cannot be read.
        """
        return watch(self, str(video), window, stride).timeline

    def golden_problems(self) -> list[str]:
        """Run the golden test; returns what differs, see `clipfold.delivery.golden`."""
        return golden_problems(self)

    def __repr__(self) -> str:
        return f"<clipfold bundle {self.name} ({self.id}): {', '.join(self.classes)}>"

    def _repr_html_(self) -> str:
        rows = [row for row in self.description["metrics"] if row["decision"] in ("", "argmax")]
        return f"<b>{escape(repr(self))}</b>{pd.DataFrame(rows).to_html(index=False, na_rep='')}"

    def probabilities(
        self, *, features: pd.DataFrame | None = None, clips: Array | None = None, boxes: Array | None = None
    ) -> Array:
        """Predict with every fit, without calibration; arguments as for `clipfold.models.load.FittedModel`.

        Returns:
            float64 (fits, videos, classes).

        Raises:
            ValueError: A fit gives no probabilities.
        """
        found = []
        with self._lock:  # several threads may use one bundle
            for fit, facts in zip(self.fits, self.description["fits"], strict=True):
                with _usable(facts["folder"]):
                    found.append(fit.predict_proba(features=features, clips=clips, boxes=boxes))
                    require(bool((found[-1] >= 0).all()), "probabilities", "not a number", "use another bundle")
        return np.stack(found)

    def answers(self, probabilities: Array) -> Answers:
        """Calibrate the probabilities of all fits, average them and name the classes.

        Args:
            probabilities: Result of `probabilities`.
        """
        temperatures = [fit["temperature"] for fit in self.description["fits"]]
        each = np.stack([scale(own, t) for own, t in zip(probabilities, temperatures, strict=True)])
        mean = each.mean(axis=0)
        named = self.decide(mean)
        spread = each[:, np.arange(len(named)), named].std(axis=0)
        return Answers(mean, spread, [self.classes[index] for index in named])

    def decide(self, probabilities: Array) -> Array:
        """Return the class index for calibrated probabilities, int64 (videos,)."""
        if self.description["threshold"] is None:
            return np.asarray(probabilities.argmax(axis=1))
        return np.asarray(probabilities[:, 1] > self.description["threshold"], np.int64)


@contextmanager
def _usable(fit: str) -> Iterator[None]:
    """Turn whatever a fit from strangers raises into an error for users."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{fit} cannot be used ({type(error).__name__}: {error}): get the bundle again") from error
