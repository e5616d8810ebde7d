"""An open bundle: its facts and its fitted models."""

import hashlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from clipfold.checks import MissingLibrary, require
from clipfold.config import build
from clipfold.delivery.description import Table
from clipfold.delivery.distance import Reference
from clipfold.delivery.embedding import TABLE, Embedded, read_embeddings
from clipfold.delivery.format import DESCRIPTION, ENCODERS, FACE_MODEL, SEEN, find_bundle, open_bundle, read_description
from clipfold.delivery.inputs import INPUTS
from clipfold.delivery.profiles import BALANCED, Profile
from clipfold.delivery.remembered import read_reference
from clipfold.evaluation.temperature import scale
from clipfold.features.embedding import columns_of
from clipfold.features.registry import VIEWS
from clipfold.models.load import FittedModel, load
from clipfold.models.onnx_graph import read_detector
from clipfold.models.record import read_record
from clipfold.models.shared_clips import SharedClips
from clipfold.settings import DecodeSettings, PolicySettings, ProbeSettings
from clipfold.storage.assigned import in_order
from clipfold.storage.files import Array, PathLike
from clipfold.storage.replace import replacing
from clipfold.table.inputs import inputs_of
from clipfold.video.views import View, build_views

if TYPE_CHECKING:
    from clipfold.models.frozen import Frozen

VIEW_BYTES = 1 << 28
"""Most bytes to keep of a video: a hundred times what is usual."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a bundle for several videos.

    Args:
        probabilities: Calibrated class probabilities, mean over the fits that were asked, float64 (videos, classes);
            rows sum to 1.
        spread: Standard deviation over these fits of the probability of the named class, float64 (videos,).
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
        profile: How to predict.
        face_model: The detector of faces, if it is not that in the folder.

    Attributes:
        description: All facts about the bundle.
        name: Name of the model.
        modality: What it predicts, `video` or `image`.
        classes: Class names, in the order of the probabilities.
        probe: Settings with which the training videos were probed; `policy` likewise.
        decode: Settings with which the training videos were decoded, but for what the profile leaves out.
        views: The views that the models read.
        table: What the rows are, if the models learned from a table; None if they learned from videos.

    Raises:
        ValueError: Settings in the description are wrong, or the detector of faces is missing.
    """

    def __init__(
        self, folder: Path, description: Mapping[str, Any], profile: Profile = BALANCED, face_model: PathLike = ""
    ) -> None:
        self.folder = folder
        self.profile = profile
        self.description = description
        self.name: str = description["name"]
        self.modality: str = description.get("modality", "video")
        self.classes: list[str] = description["classes"]
        self.probe = build(ProbeSettings, "probe", description["probe"])
        trained = build(DecodeSettings, "decode", description["decode"])
        self.decode = replace(trained, loop_filter=trained.loop_filter and profile.loop_filter)
        self.policy = build(PolicySettings, "policy", description["policy"])
        if self.decode.face_model:
            self.decode = replace(self.decode, face_model=str(face_model or folder / FACE_MODEL))
        self.views: dict[str, View] = build_views(self.decode.views, self.decode.size, self.decode.face_model)
        kept = sum(math.prod(v.shape) * (v.region.zoom**2 if v.region else 1) for v in self.views.values())
        require(kept <= VIEW_BYTES, "decode.views", f"{kept} bytes a video", f"use views of {VIEW_BYTES} or less")
        self.table: Table | None = description.get("table")
        remedy = "leave it out: this bundle predicts the rows of tables"
        require(not self.table or not profile.changes, "profile", profile.name, remedy)
        remedy = "use another: exported networks predict as they were exported, with views and precision as trained"
        require("tolerance" not in description or not profile.of_networks, "profile", str(profile), remedy)
        self._lock = threading.Lock()
        self._kept = ExitStack()

    @classmethod
    def open(cls, path: PathLike, profile: Profile = BALANCED) -> Self:
        """Open a bundle, to predict by a profile: a folder, or a file with the suffix `.clipfold`.

        Raises:
            ValueError: It is no bundle, is damaged, or holds what no bundle holds.
        """
        kept = ExitStack()
        folder = kept.enter_context(open_bundle(find_bundle(path)))
        with kept:
            face_model: PathLike = ""
            if (folder / FACE_MODEL).is_file():
                face_model = Path(kept.enter_context(TemporaryDirectory(prefix="clipfold-")), FACE_MODEL)
                with replacing(face_model) as file:  # OpenCV gets what was checked, and nothing else
                    file.write(read_detector(folder / FACE_MODEL))
            bundle = cls(folder, read_description(folder), profile, face_model)
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
    def seen(self) -> frozenset[str]:
        """Beginnings of the digests of the training videos, 16 hexadecimal digits each.

        Raises:
            ValueError: The list is missing or no text.
        """
        try:
            return frozenset((self.folder / SEEN).read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{SEEN} cannot be used ({type(error).__name__}): get the bundle again") from None

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
            model = load(folder, members, self.folder / ENCODERS, self.profile.of_networks)
            require(model.classes == self.classes, "classes", model.classes, f"make it of {self.classes}")
            known = [*VIEWS, "clips"] if "features" in model.reads and not self.table else ["clips"]
            require({*known} <= {*self.views}, "decode.views", [*self.views], f"it needs {', '.join(known)}")
        return model

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """Describe each video or row, to compare it with the training data: name -> unit."""
        return inputs_of(self.table["columns"], self.table["categories"]) if self.table else INPUTS

    @property
    def noun(self) -> str:
        """Name the kind of rows that it predicts."""
        return "row" if self.table else self.modality

    @property
    def id(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        return hashlib.sha256((self.folder / DESCRIPTION).read_bytes()).hexdigest()[:16]

    @cached_property
    def reference(self) -> Reference:
        """The training videos that it remembers."""
        columns: Any = read_reference(self.folder, self.classes, self.inputs)
        return Reference(columns)

    @cached_property
    def embedded(self) -> Embedded | None:
        """The embeddings of these training videos; None if the bundle remembers none, as without an encoder."""
        if not (self.folder / TABLE).is_file():
            return None
        groups = read_reference(self.folder, self.classes)["group"].tolist()
        return Embedded(read_embeddings(self.folder, len(groups)), groups)

    def embed(self, clips: Array) -> Array:
        """Embed clips by the first frozen encoder of the fits; see `clipfold.models.load.FittedModel`.

        Raises:
            ValueError: There is no encoder.
        """
        with self._lock, _usable("the encoder"):
            found = next((own for fit in self.fits if (own := fit.embed(clips)) is not None), None)
            if found is None:
                raise ValueError("no model has one, but the bundle has embeddings")
            return found

    @cached_property
    def encoders(self) -> Mapping[str, "Frozen"]:
        """The frozen encoders whose embeddings the fits read as features, by feature group; loaded when first used.

        Raises:
            ValueError: One cannot be used, or fits differ in it.
        """
        found: dict[str, Any] = {}
        with _usable("an encoder"):
            for path in sorted((self.folder / "fits").rglob("fit.json")):
                for group, facts in read_record(path).get("encoders", {}).items():
                    require(found.setdefault(group, facts) == facts, group, facts, "all fits must have the same")
            if not found:
                return {}
            from clipfold.models.frozen import Frozen  # loads PyTorch, which other feature models do not need

            return {group: Frozen(facts, self.folder / ENCODERS) for group, facts in found.items()}

    def with_embeddings(self, features: pd.DataFrame, clips: Array) -> pd.DataFrame:
        """Add to handcrafted features those of embeddings that the fits read.

        Args:
            features: A row per video.
            clips: Of the same videos, uint8 (videos, frames, size, size, 3).
        """
        if not self.encoders or not len(features):
            return features
        with self._lock, _usable("an encoder"):
            each = [features]
            for group, frozen in self.encoders.items():
                values = frozen.features(clips)
                each.append(pd.DataFrame(values, index=features.index, columns=columns_of(group, values.shape[1])))
            return pd.concat(each, axis=1)

    @property
    def ordered(self) -> list[str]:
        """The classes, the positive one of two last."""
        return in_order(self.classes, self.description["positive"] or "")

    @property
    def reads(self) -> frozenset[str]:
        """Name the input of the fits: `features`, `clips` or both."""
        return frozenset().union(*(fit.reads for fit in self.fits))

    @cached_property
    def _shares_encoders(self) -> bool:
        """Whether the fits share the embeddings of a frozen encoder, so that a further one costs next to nothing."""
        return (self.folder / ENCODERS).is_dir()

    def probabilities(
        self, *, features: pd.DataFrame | None = None, clips: Array | None = None, boxes: Array | None = None
    ) -> Array:
        """Predict with every fit, without calibration; arguments as for `clipfold.models.load.FittedModel`.

        Returns:
            float64 (fits, videos, classes); NaN for fits that were not asked, see `Profile`.

        Raises:
            ValueError: A fit gives no probabilities.
        """
        shared = None if clips is None else SharedClips(clips)
        given = features if clips is None else clips
        asked = np.arange(0 if given is None else len(given))
        found = np.full((len(self.fits), len(asked), len(self.classes)), np.nan)
        with self._lock:  # several threads may use one bundle
            for number, (fit, facts) in enumerate(zip(self.fits, self.description["fits"], strict=True)):
                with _usable(facts["folder"]):
                    own = fit.predict_proba(features=features, clips=shared, boxes=boxes)
                    good = (own >= 0) & (own <= 1)  # not so for NaN
                    require(bool(good.all()), "a probability", own[~good], "all must be in [0, 1]")
                    found[number, asked] = own
                unsure = self._unsure(found[: number + 1, asked])
                if not unsure.any() or number + 1 == self.profile.fits:
                    break
                if unsure.all():  # the same arrays: copies of another layout are multiplied in another order
                    continue
                asked, boxes = asked[unsure], None if boxes is None else boxes[unsure]
                features = None if features is None else features[unsure]
                shared = None if shared is None else shared.only(unsure)
        return found

    def _unsure(self, found: Array) -> Array:
        """Return which videos need a further fit, bool (videos,); `found` is float64 (fits so far, videos, classes)."""
        if self.profile.enough == 1 or self._shares_encoders:
            return np.ones(found.shape[1], bool)
        probabilities = self.answers(found).probabilities
        named = self.decide(probabilities)  # by the threshold, which may name the less probable class
        return np.asarray(probabilities[np.arange(len(named)), named] < self.profile.enough)

    def answers(self, probabilities: Array) -> Answers:
        """Calibrate the probabilities of all fits, average them and name the classes.

        Args:
            probabilities: Result of `probabilities`, or of its first fits.
        """
        fits = self.description["fits"][: len(probabilities)]
        each = np.stack(
            [scale(own, f["temperature"], np.array(f["bias"])) for own, f in zip(probabilities, fits, strict=True)]
        )
        mean = np.nanmean(each, axis=0)
        named = self.decide(mean)
        spread = np.nanstd(each[:, np.arange(len(named)), named], axis=0)
        return Answers(mean, spread, [self.classes[index] for index in named])

    def threshold_of(self, label: str | None) -> float:
        """Return the least calibrated probability at which a class is named, 0.5 with more than two classes.

        Args:
            label: The class; by default the positive one of two.
        """
        threshold = self.description["threshold"]
        if threshold is None:
            return 0.5
        return float(threshold if label in (None, self.description["positive"]) else 1 - threshold)

    def decide(self, probabilities: Array) -> Array:
        """Return the class index for calibrated probabilities, int64 (videos,)."""
        if self.description["threshold"] is None:
            return np.asarray(probabilities.argmax(axis=1))
        positive = self.classes.index(self.description["positive"])
        above = probabilities[:, positive] > self.description["threshold"]
        return np.where(above, positive, 1 - positive).astype(np.int64)


@contextmanager
def _usable(fit: str) -> Iterator[None]:
    """Turn whatever a fit from strangers raises into an error for users."""
    try:
        yield
    except MissingLibrary:  # the bundle is not to blame
        raise
    except Exception as error:
        raise ValueError(f"{fit} cannot be used ({type(error).__name__}: {error}): get the bundle again") from error
