"""Load any fitted model for use elsewhere: features, clips or an ensemble, behind one `predict_proba`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.models.mixing import mix, sure
from clipfold.models.record import Record, model_file, read_record, trainings
from clipfold.models.shared_clips import SharedClips
from clipfold.storage.files import Array, PathLike
from clipfold.storage.records import amount, parse_json, read_bytes


class FittedModel(Protocol):
    """A model that was fitted on one fold.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs: `features`, `clips` or both.
    """

    classes: list[str]
    reads: frozenset[str]

    def predict_proba(
        self,
        *,
        features: pd.DataFrame | Array | None = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos.

        Args:
            features: Table with a row per video and the columns of `clipfold.features.extract`, or an array of the
                recorded columns, (videos, columns).
            clips: Letterboxed clips, `uint8` (videos, frames, size, size, 3), or `SharedClips`, so that several models
                resize and embed them once.
            boxes: Content box of each clip, int (videos, 4): top, left, height, width in pixels of `clips`; by default
                the whole square.

        Returns:
            float64 (videos, classes); rows sum to 1.

        Raises:
            ValueError: Something that the model reads is missing or has the wrong shape.
        """

    def embed(self, clips: Array) -> Array | None:
        """Embed clips by the model's frozen encoder.

        Args:
            clips: As for `predict_proba`.

        Returns:
            float32 (videos, width), mean over the frames; None for a model without frozen encoder.
        """


def load(
    folder: PathLike,
    members: Mapping[str, PathLike] | None = None,
    encoders: PathLike | None = None,
    otherwise: Mapping[str, Any] = MappingProxyType({}),
) -> FittedModel:
    """Load a fitted model. Its predictions are those of its own fold, to the bit on the same machine.

    Args:
        folder: Folder of a fit, such as `results/models/svm/fold-0`, with `fit.json` and the model's file.
        members: For an ensemble: member -> folder of its fit. By default they are searched beside the ensemble, as in
            `results/models`. Empty: an ensemble is refused, as its members may be anywhere.
        encoders: Folder of the weights of frozen encoders, for fits that name a file there, as in a bundle.
        otherwise: `precision`, `views_at_test` and `compile` of networks, where they are to predict otherwise than in
            their fold; those that were exported predict as they were.

    Raises:
        ValueError: The record has another format, or the model cannot be restored from it.
        FileNotFoundError: There is no such fit.
    """
    record = read_record(Path(folder, "fit.json"))
    path = model_file(folder, record)
    if record["input"] == "features":
        return FeatureModel(record, path)
    if record["input"] == "clips":
        changed, number = _changed(record, otherwise), trainings(record)
        each = [_training(changed, path, encoders, training) for training in range(number)]
        return each[0] if number == 1 else Trainings(each)
    if members is None:
        folder = Path(folder)
        members = {name: folder.parents[1] / name / folder.name for name in used_members(record)}
    # A member is no ensemble: of what, would be searched outside of a bundle, or without end.
    loaded = {name: load(place, {}, encoders, otherwise) for name, place in members.items()}
    return (Cascade if "enough" in record else Ensemble)(record, path, loaded)


def _changed(record: Record, otherwise: Mapping[str, Any]) -> Record:
    settings = {key: value for key, value in otherwise.items() if key == "views_at_test"}
    return {**record, "compile": "none", **otherwise, "settings": {**record["settings"], **settings}}


def _training(record: Record, path: Path, encoders: PathLike | None, training: int) -> FittedModel:
    if "exported" in record:
        from clipfold.models.onnx_graph import graph_file  # needs the extra `export` and no PyTorch
        from clipfold.models.onnx_model import OnnxModel

        require(record["exported"] == "onnx", "fit.json: exported", record["exported"], "export the bundle again")
        return OnnxModel(record, graph_file(path.parent, training))
    from clipfold.models.clip_model import ClipModel  # loads PyTorch, which feature models do not need

    return ClipModel(record, path, encoders, training)


def used_members(record: Record) -> list[str]:
    """List the members of an ensemble that a fit needs: the others have no weight. Empty for other models."""
    weights = record.get("weights", {})
    return [name for name in record["settings"].get("members", ()) if weights.get(name, 1.0)]


class FeatureModel:
    """A fitted scikit-learn model that predicts from handcrafted features.

    Args:
        record: Record of the fit, `fit.json`.
        path: The model, a skops file.

    Attributes:
        classes: Class names, in the order of the probabilities.
        columns: Features that the model reads, in order.
        categories: Those of them that are text, not numbers.
        reads: What `predict_proba` needs.
    """

    reads: frozenset[str] = frozenset({"features"})

    def __init__(self, record: Record, path: PathLike) -> None:
        self.classes: list[str] = record["classes"]
        self.columns: list[str] = record["features"]
        self.categories: list[str] = record.get("categories", [])
        from clipfold.models.fitted import read_fitted  # loads all of scikit-learn, which networks do not need

        self._model = read_fitted(path)

    def predict_proba(
        self,
        *,
        features: pd.DataFrame | Array | None = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos, see `FittedModel`; columns of a table are taken by name."""
        if features is None:
            raise ValueError("features is None: this model predicts from features: pass a table of them")
        read: Any = features
        if isinstance(features, pd.DataFrame):
            missing = [name for name in self.columns if name not in features]
            if missing:
                raise ValueError(f"features has no {', '.join(missing)}: pass a table with all columns of the model")
            read = features[self.columns] if self.categories else features[self.columns].to_numpy()
        elif self.categories:
            raise ValueError(f"features is an array: {', '.join(self.categories)} are categories: pass a table")
        if read.ndim != 2 or read.shape[1] != len(self.columns):
            raise ValueError(f"features has shape {list(read.shape)}: use (videos, {len(self.columns)} columns)")
        if not len(read):
            return np.empty((0, len(self.classes)))
        from clipfold.models.fitted import class_probabilities

        return class_probabilities(self._model, read, len(self.classes))

    def embed(self, clips: Array) -> None:
        """Return None: there is no encoder."""


class Trainings:
    """The mean of several trainings of one network.

    Args:
        each: The trainings.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs.
    """

    def __init__(self, each: Sequence[FittedModel]) -> None:
        self.classes, self.reads = each[0].classes, each[0].reads
        self._each = each

    def predict_proba(
        self,
        *,
        features: pd.DataFrame | Array | None = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Average the class probabilities of all trainings, see `FittedModel`."""
        shared = None if clips is None else SharedClips.of(clips)
        found = [own.predict_proba(features=features, clips=shared, boxes=boxes) for own in self._each]
        return np.asarray(np.mean(found, axis=0))

    def embed(self, clips: Array) -> Array | None:
        """Embed clips by the frozen encoder, which all trainings share, see `FittedModel`."""
        return self._each[0].embed(clips)


class Cascade:
    """A cheap model, and another that is asked where the cheap one is unsure.

    Args:
        record: Record of the fit, `fit.json`.
        path: How sure is enough, a JSON file.
        members: Name -> model of the same fold, for both.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs.

    Raises:
        ValueError: A member is missing or has other classes, or there are not two.
    """

    def __init__(self, record: Record, path: PathLike, members: Mapping[str, FittedModel]) -> None:
        self.classes: list[str] = record["classes"]
        self._enough = amount(parse_json(read_bytes(Path(path)))["enough"])
        names = record["settings"]["members"]
        require(len(names) == 2, "fit.json: members", names, "a cascade has two")
        self._cheap, self._careful = (_member(members, name, self.classes) for name in names)
        self.reads: frozenset[str] = self._cheap.reads | self._careful.reads

    def predict_proba(
        self,
        *,
        features: pd.DataFrame | Array | None = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos, by the second member where the first is unsure."""
        shared = None if clips is None else SharedClips.of(clips)
        found = self._cheap.predict_proba(features=features, clips=shared, boxes=boxes)
        unsure = ~sure(found, self._enough)
        if unsure.any():
            some = None if features is None else features[unsure]
            fewer = None if shared is None else shared.only(unsure)
            where = None if boxes is None else np.asarray(boxes)[unsure]
            found[unsure] = self._careful.predict_proba(features=some, clips=fewer, boxes=where)
        return found

    def embed(self, clips: Array) -> Array | None:
        """Embed clips by the first member that has a frozen encoder, see `FittedModel`."""
        return next((found for own in (self._cheap, self._careful) if (found := own.embed(clips)) is not None), None)


def _member(members: Mapping[str, FittedModel], name: str, classes: list[str]) -> FittedModel:
    if name not in members:
        raise ValueError(f"members has no {name}: pass the folder of every member")
    if members[name].classes != classes:
        raise ValueError(f"members: {name} predicts {members[name].classes}: use one with {classes}")
    return members[name]


class Ensemble:
    """A fitted weighted mean of other models.

    Args:
        record: Record of the fit, `fit.json`.
        path: The weights, a JSON file.
        members: Name -> model of the same fold, for every member.

    Attributes:
        classes: Class names, in the order of the probabilities.
        weights: Weight of each member.
        reads: What `predict_proba` needs.

    Raises:
        ValueError: A member is missing or has other classes.
    """

    def __init__(self, record: Record, path: PathLike, members: Mapping[str, FittedModel]) -> None:
        self.classes: list[str] = record["classes"]
        weights = {name: amount(weight) for name, weight in parse_json(read_bytes(Path(path)))["weights"].items()}
        self.weights = {name: weight for name, weight in weights.items() if weight}  # a select has one
        self._members = [_member(members, name, self.classes) for name in self.weights]
        self.reads: frozenset[str] = frozenset().union(*(member.reads for member in self._members))

    def predict_proba(
        self,
        *,
        features: pd.DataFrame | Array | None = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos with every member and mix them, see `FittedModel`."""
        shared = None if clips is None else SharedClips.of(clips)
        each = [member.predict_proba(features=features, clips=shared, boxes=boxes) for member in self._members]
        return mix(np.array([*self.weights.values()]), np.stack(each))

    def embed(self, clips: Array) -> Array | None:
        """Embed clips by the first member that has a frozen encoder, see `FittedModel`."""
        return next((found for member in self._members if (found := member.embed(clips)) is not None), None)
