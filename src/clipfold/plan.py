"""Build the plan of a run from its config: videos, shards, views, models, folds. Standard library only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clipfold.checks import require
from clipfold.config import Config, read_config
from clipfold.features.registry import VIEWS
from clipfold.manifest.index import Facts, Videos, index_key, read_index, write_index
from clipfold.manifest.labels import labels_digest
from clipfold.manifest.names import plain
from clipfold.manifest.rates import rates_of
from clipfold.manifest.read import Video, find_manifest, read_extras, read_manifest, read_splits, read_whole
from clipfold.manifest.shards import capacity, shard_videos
from clipfold.models.catalog import FOR_TABLES
from clipfold.models.entries import plan_models, plan_shortcuts
from clipfold.models.model import Model
from clipfold.models.named_encoders import encoder_key, plan_encoders
from clipfold.settings import BEST
from clipfold.splits.feasibility import count_folds
from clipfold.storage.fingerprint import fingerprint
from clipfold.table.columns import Table, plan_table, table_columns
from clipfold.video.views import View, build_views


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before the first job runs.

    Args:
        config: The checked config.
        manifest: The table of videos.
        videos: The rows of the manifest, in their order; of an index, shard by shard.
        shards: Shard name -> its videos, sorted by id.
        views: Name of a stored array -> the view that fills it.
        models: The configured models with their candidates, then the shortcuts.
        shortcuts: The baselines that know nothing of the action.
        table: The columns of a table, for `modality: table`.
        folds: Fold numbers, continuing over repeats.
        key: Name of the index from which jobs read their shards; empty if there is none.
        facts: What the index says of all videos together, if the plan was read from it.
        more: The further columns of the manifest, see `read_extras`; None if the plan was read from an index.
        new_manifest: The table of new videos to predict, if there are some.
        new_videos: Its rows.
    """

    config: Config
    manifest: Path
    videos: Collection[Video]
    shards: Mapping[str, Sequence[Video]]
    views: Mapping[str, View]
    models: Sequence[Model]
    shortcuts: Sequence[Model]
    folds: range
    key: str = ""
    facts: Facts | None = None
    more: Mapping[str, list[str]] | None = None
    table: Table | None = None
    new_manifest: Path | None = None
    new_videos: Sequence[Video] = ()

    @classmethod
    def from_config(cls, values: Mapping[str, Any], folders: Sequence[Path], index: Path | None = None) -> "Plan":
        """Check a config and its manifest, and plan the run.

        Args:
            values: The config as YAML gives it.
            folders: Folders in which to look for a relative manifest, in order.
            index: Folder in which `write_index` may have left what is planned from the same manifest and settings.

        Raises:
            ValueError: The config or the manifest is invalid; the message names the key or row, the value and the
                remedy.
        """
        config = read_config(values)
        views = build_views(config.decode.views, config.decode.size, config.decode.face_model)
        missing = [name for name in VIEWS if name not in views]
        require(
            not missing, "decode.views", [*views], f"features read {', '.join(missing)} too: keep a view of that name"
        )
        tabular = config.modality == "table"
        entries = FOR_TABLES if tabular and [*config.models] == [*Config().models] else config.models
        size, clips = config.decode.size, config.decode.views["clips"].get("clips", 1)
        frames = views["clips"].shape[0] // clips
        models = plan_models(
            entries,
            largest_size=size,
            most_frames=frames,
            clips=clips,
            modality=config.modality,
            encoders=plan_encoders(config.encoders, size, frames, clips),
        )
        config.bundle.check_models([model.name for model in models if not model.candidate_of])
        columns = table_columns(config.columns) if tabular else config.columns
        new = find_manifest(config.predict.manifest, folders) if config.predict.manifest else None
        new_videos = read_manifest(new, columns, labelled=False, separator=config.group_separator) if new else []
        if new and not config.manifest:
            bundle, ours = config.predict.bundle, [BEST, *(model.name for model in models)]
            remedy = "name the path of a .clipfold file, or a manifest to train on"
            require(bundle not in ours, "predict.bundle, without a manifest,", bundle, remedy)
            return cls(
                config=config,
                manifest=new,
                videos=[],
                shards={},
                views=views,
                models=[],
                shortcuts=[],
                folds=range(0),
                new_manifest=new,
                new_videos=new_videos,
            )
        shortcuts = plan_shortcuts(models, config.modality) if config.shortcuts and not tabular else []
        manifest = find_manifest(config.manifest, folders)
        key = "" if tabular else index_key(manifest, _deciding(config))  # before the manifest is read: it may change
        if index and key and (found := read_index(index, key)):
            facts, indexed = found
            return cls(
                config=config,
                manifest=manifest,
                videos=Videos(indexed, facts.videos),
                shards=indexed,
                views=views,
                models=[*models, *shortcuts],
                shortcuts=shortcuts,
                folds=range(facts.folds),
                key=key,
                facts=facts,
                new_manifest=new,
                new_videos=new_videos,
            )
        read = read_whole(manifest, columns, separator=config.group_separator)
        videos = read.videos
        rates_of(videos)
        cut = [video.id for video in videos if video.file] if config.modality == "image" else []
        require(not cut, f"{manifest}, start or end of {cut[:1]}", len(cut), "leave them empty: an image has no time")
        labelled = [video for video in videos if video.label]
        _check_positive(config.positive, sorted({video.label for video in labelled}))
        splits = config.splits
        plan = cls(
            config=config,
            manifest=manifest,
            videos=videos,
            shards=shard_videos(videos, capacity(len(videos), config.shard_size)),
            views=views,
            models=[*models, *shortcuts],
            shortcuts=shortcuts,
            folds=range(count_folds(labelled, splits.scheme, splits.folds, splits.repeats)),
            key=key,
            more=read.extras,
            table=plan_table(manifest, config.columns, config.table, videos) if tabular else None,
            new_manifest=new,
            new_videos=new_videos,
        )
        _ = plan.given_splits  # read now, so that mistakes in the column end the plan
        return plan

    def write_index(self, folder: Path) -> None:
        """Write an index, from which the start of a job reads its shard alone; a table has none.

        Raises:
            OSError: It cannot be written.
        """
        if self.key:
            facts = Facts(videos=len(self.videos), folds=len(self.folds), labels=self.labels_digest)
            write_index(folder, self.key, facts, self.shards)

    @property
    def positive(self) -> str:
        """The positive class in the spelling of the labels; empty if none is named."""
        return plain(self.config.positive)

    @property
    def size(self) -> int:
        """Edge in pixels of the stored clips."""
        return self.config.decode.size

    @property
    def trains(self) -> bool:
        """Whether there are videos to train on; if not, new videos are predicted by a bundle of another run."""
        return bool(self.videos)

    @property
    def settings(self) -> dict[str, Any]:
        """The config with every default, as plain values: stage -> settings."""
        return asdict(self.config)

    @property
    def policy(self) -> dict[str, str]:
        """Action for each status; equal rows of a table have their own."""
        own = {"duplicate": self.config.table.duplicates} if self.table else {}
        return asdict(self.config.policy) | own

    @property
    def columns(self) -> dict[str, str]:
        """The manifest's own names of columns, for `read_manifest`."""
        return table_columns(self.config.columns) if self.table else dict(self.config.columns)

    @property
    def described(self) -> dict[str, Any]:
        """The config with every setting of every model, for the report."""
        entries = [{"name": m.name, "architecture": m.architecture, **m.settings} for m in self.configured]
        return self.settings | {"models": entries}

    @cached_property
    def configured(self) -> list[Model]:
        """The entries of `models:`, and the candidates that these may choose."""
        return [model for model in self.models if model not in self.shortcuts]

    @cached_property
    def scored(self) -> list[Model]:
        """The models that are evaluated: all but candidates, one of which is scored as what chose it."""
        return [model for model in self.models if not model.candidate_of]

    @cached_property
    def light_shortcuts(self) -> list[Model]:
        """The baselines on features, all of which one job fits on a fold."""
        return [model for model in self.shortcuts if model.input == "features"]

    @cached_property
    def explained(self) -> list[Model]:
        """Models to explain: what mixes or chooses relies on others, and shortcuts need no explanation."""
        return [model for model in self.scored if model.input != "predictions" and model not in self.shortcuts]

    @cached_property
    def encoders(self) -> dict[str, dict[str, Any]]:
        """Frozen encoders, each of which embeds every clip once: key -> settings."""
        return {encoder_key(own): own for model in self.models for own in model.encoders}

    @cached_property
    def labels_digest(self) -> str:
        """Digest of ids, labels and groups: with another one, folds are assigned again."""
        return self.facts.labels if self.facts else labels_digest(self.videos)

    @cached_property
    def given_splits(self) -> dict[str, str]:
        """Id -> split, for the scheme `column`."""
        return read_splits(self.manifest, self.columns) if self.config.splits.scheme == "column" else {}

    @property
    def table_facts(self) -> dict[str, dict[str, str]] | None:
        """What a bundle says of a table: its columns to learn from, and its own names of columns; None for videos."""
        return {"columns": dict(self.table.columns), "names": dict(self.config.columns)} if self.table else None

    @cached_property
    def new_shards(self) -> dict[str, list[Video]]:
        """Shard name -> new videos to predict."""
        return shard_videos(self.new_videos, capacity(len(self.new_videos), self.config.shard_size))

    def extras(self) -> dict[str, list[str]]:
        """Return the manifest's columns that models do not learn from, by which the evaluation slices errors."""
        extras = read_extras(self.manifest, self.columns) if self.more is None else self.more
        return {name: cells for name, cells in extras.items() if not self.table or name not in self.table.columns}


def _deciding(config: Config) -> dict[str, Any]:
    """Return all but the manifest that decides the facts and the shards of a plan: settings and code."""
    names = ("modality", "columns", "group_separator", "positive", "shard_size", "splits")
    settings = asdict(config)
    code = fingerprint(__file__, "clipfold.manifest.index", "clipfold.manifest.shards", "clipfold.splits.feasibility")
    return {name: settings[name] for name in names} | {"code": code}


def _check_positive(name: str, classes: Sequence[str]) -> None:
    """Check that the positive class is one of two.

    Raises:
        ValueError: It is none, or there are more than two: then each is compared with the rest.
    """
    if not name:
        return
    require(plain(name) in classes, "positive", name, f"use one of the classes {', '.join(classes)}")
    require(
        len(classes) == 2,
        "positive",
        name,
        f"leave it out: with {len(classes)} classes, each is compared with the rest",
    )
