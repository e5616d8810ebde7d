"""The job of writing a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipfold.storage.files import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleTask:
    """Inputs, outputs and settings for a bundle.

    Args:
        model: Name of a configured model, or `best`.
        folders: Model -> folder of the fit on each fold; of all models that may be needed, members included.
        finals: Model -> folder of the fit on all data; empty to bundle the fits on the folds.
        evaluation: Tables by name: `comparison`, `metrics`, `choices`, `predictions`.
        splits: Table of the folds.
        audit: JSON of the leakage audit.
        metadata: Tables of the probe, by shard.
        clips: Arrays of the view `clips`, by shard.
        index: Indices of the same shards.
        features: Tables of features, by shard, for a model that learned from a table; then there are no clips.
        table: Its `columns` (column -> kind) and `names`, see `clipfold.delivery.description.Table`; None for videos.
        settings: `modality` and the sections `probe`, `policy` and `decode` of the config, with all defaults.
        labels: Digest of the manifest's ids, labels and groups.
        positive: The positive class of two; empty for the last in the alphabet.
        bundle: The bundle to write, one file.
        card: The model card to write; the bundle holds it too.
    """

    model: str
    folders: Mapping[str, Sequence[PathLike]]
    finals: Mapping[str, PathLike]
    evaluation: Mapping[str, PathLike]
    splits: PathLike
    audit: PathLike
    metadata: Sequence[PathLike]
    clips: Sequence[PathLike]
    index: Sequence[PathLike]
    settings: Mapping[str, Any]
    labels: str
    bundle: PathLike
    card: PathLike
    features: Sequence[PathLike] = ()
    table: Mapping[str, Mapping[str, str]] | None = None
    positive: str = ""
