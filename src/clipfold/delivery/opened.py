"""An open bundle: its facts and its fitted models."""

import hashlib
import math
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery.distance import Reference
from clipfold.delivery.format import DESCRIPTION, ENCODERS, REFERENCE, SUFFIX, open_bundle, read_description
from clipfold.evaluation.calibration import scale
from clipfold.features.registry import VIEWS
from clipfold.models.load import FittedModel, load
from clipfold.settings import DecodeSettings, PolicySettings, ProbeSettings
from clipfold.storage.files import Array, PathLike, read_table
from clipfold.video.views import build_views

VIDEO_BYTES = 1 << 30
"""Most bytes that are kept of one video."""


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


class OpenBundle:
    """A bundle that is open; `clipfold.delivery.bundle.Bundle` adds what users call.

    Args:
        folder: The bundle's folder, checked by `open_bundle`.
        description: Its `bundle.json`.

    Attributes:
        description: All facts about the bundle.
        name: Name of the model.
        classes: Class names, in the order of the probabilities.
        probe: How videos are probed, as in the run that trained the model.
        decode: How they are decoded.
        policy: What is done with those that are not `ok`.

    Raises:
        ValueError: The description has settings that no run has.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        self.description = description
        self.name: str = description["name"]
        self.classes: list[str] = description["classes"]
        try:
            self.probe = ProbeSettings(**description["probe"])
            self.decode = DecodeSettings(**description["decode"])
            self.policy = PolicySettings(**description["policy"])
            views = build_views(self.decode.views, self.decode.size)
        except (TypeError, AttributeError) as error:  # a key that is none of theirs, or text in place of a number
            raise ValueError(f"{DESCRIPTION}: probe, decode or policy ({error}): make the bundle again") from error
        kept = sum(math.prod(view.shape) for view in views.values())
        require(kept <= VIDEO_BYTES, "decode.views: bytes of a video", kept, f"keep at most {VIDEO_BYTES}")
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
        bundle = cls(folder, read_description(folder))
        bundle._kept = kept  # a file is unpacked into a folder that lasts as long as the bundle
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
        """The fitted models, one for each fold; loaded when first used."""
        fits = [self._load(self.folder / fit["folder"]) for fit in self.description["fits"]]
        needed = {"clips", *(VIEWS if "features" in fits[0].reads else ())}
        require(needed <= self.decode.views.keys(), "decode.views", [*self.decode.views], f"keep {', '.join(needed)}")
        return fits

    def _load(self, folder: Path) -> FittedModel:
        members = {path.name: path for path in sorted((folder / "members").glob("*"))}
        where = folder.relative_to(self.folder)
        try:
            model = load(folder, members, self.folder / ENCODERS)
        except Exception as error:  # a record may hold anything, and so raise anything
            raise ValueError(
                f"{self.name}: {where} holds no usable model ({error!r}): make the bundle again"
            ) from error
        require(model.classes == self.classes, f"{where}: classes", model.classes, f"make it of {self.classes}")
        return model

    @property
    def id(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        return hashlib.sha256((self.folder / DESCRIPTION).read_bytes()).hexdigest()[:16]

    @cached_property
    def reference(self) -> Reference:
        """The training videos that it remembers, see `clipfold.delivery.reference`."""
        return Reference(read_table(self.folder / REFERENCE).to_pandas())

    @property
    def reads(self) -> frozenset[str]:
        """What the fits predict from: `features`, `clips` or both."""
        return self.fits[0].reads

    def probabilities(
        self, *, features: pd.DataFrame | None = None, clips: Array | None = None, boxes: Array | None = None
    ) -> Array:
        """Predict with every fit, without calibration; arguments as for `clipfold.models.load.FittedModel`.

        Returns:
            float64 (fits, videos, classes).
        """
        with self._lock:  # several threads may use one bundle
            return np.stack([fit.predict_proba(features=features, clips=clips, boxes=boxes) for fit in self.fits])

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
