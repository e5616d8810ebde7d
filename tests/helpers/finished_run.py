"""Make a small finished run and its bundles, stage by stage and without Snakemake."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from helpers.evaluated import OUTPUTS
from safetensors.torch import save_file
from torchvision.models import VisionTransformer

from clipfold.clips.augment import draw_shard
from clipfold.clips.resize import resize_shard
from clipfold.delivery.task import BundleTask
from clipfold.delivery.write import write_bundle
from clipfold.demo.write import make_demo
from clipfold.evaluation.evaluate import evaluate
from clipfold.evaluation.task import EvaluationTask
from clipfold.features.extract import extract_shard
from clipfold.leakage.check import check_leakage
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.matches import match
from clipfold.leakage.videos import Stored
from clipfold.models.embed import embed_shards
from clipfold.models.record import MODEL_FILES
from clipfold.plan import Plan
from clipfold.splits.split import SplitTask, split
from clipfold.training.task import Task
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

FEATURES, CLIPS, EMBEDDINGS, ENSEMBLE = MODELS = ("logistic_regression", "cnn", "frozen", "both")
WEIGHTS = "our own weights.safetensors"
NETWORK = {"epochs": 2, "threads": 1, "workers": 0}
CONFIG = {
    "splits": {"folds": 2, "validation": 0.34},
    "augment": {"copies": 1},
    "shortcuts": False,
    "models": [
        FEATURES,
        {"architecture": "naive_cnn", "name": CLIPS, "size": 32, "width": 4, **NETWORK},
        {"architecture": "vit_gru", "name": EMBEDDINGS, "size": 64, "freeze": True, "weights": WEIGHTS, **NETWORK},
        {"architecture": "ensemble", "name": ENSEMBLE, "members": [FEATURES, CLIPS]},
    ],
}
TABLES = ("predictions", "metrics", "comparison", "choices")


@dataclass(frozen=True)
class Run:
    """A finished run: its videos, `results/`, and its config; what its models began with is gone."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def manifest(self) -> Path:
        return self.folder / "videos.csv"

    def bundle(self, model: str) -> Path:
        return self.results / f"bundles/{model}/bundle.clipfold"

    def fit(self, model: str, fold: int) -> Path:
        return self.results / f"models/{model}/fold-{fold}"


def make_run(folder: Path) -> None:
    """Train four kinds of models on sixteen videos, of which two are damaged, compare them and bundle each."""
    make_demo(folder, sources=4)
    _write_encoder(folder / WEIGHTS)
    models = [each | {"weights": str(folder / WEIGHTS)} if "weights" in each else each for each in CONFIG["models"][1:]]
    plan = Plan.from_config(CONFIG | {"manifest": "videos.csv", "models": [FEATURES, *models]}, [folder])
    results = folder / "results"
    prepare(plan, results)
    for model in plan.models:
        for fold in plan.folds:
            train(plan, model, fold, results)
    compare(plan, results)
    for model in MODELS:
        write_bundle(bundle_task(plan, results, model))
    (folder / WEIGHTS).unlink()


def _write_encoder(path: Path) -> None:
    network = VisionTransformer(224, 16, num_layers=4, num_heads=3, hidden_dim=192, mlp_dim=768)
    save_file(network.state_dict(), path)


def prepare(plan: Plan, results: Path) -> None:
    config, settings = plan.config, plan.settings
    paths = {video.id: video.path for video in plan.videos}
    metadata, index = results / "metadata.parquet", results / "index.parquet"
    arrays = {view: results / f"{view}.npy" for view in plan.views}
    probe_shard(paths, metadata, config.probe, workers=2)
    decode_shard(paths, metadata, arrays, index, config.decode, workers=2)
    extract_shard(metadata, index, {v: arrays[v] for v in ("clips", "motion", "native")}, results / "features.parquet")
    drawn = results / "augmented.parquet"
    draw_shard(index, drawn, **config.augment.drawn, seed=config.seed)
    for size in (32, 64):
        resize_shard(arrays["clips"], results / f"clips_{size}.npy", size)
    for name, source in (("clips", [results / "clips_64.npy"]), ("augmented", [arrays["clips"], index, drawn])):
        (encoder,) = plan.encoders.values()
        embed_shards(
            {results / f"{name}_embedded.npy": source},
            results / f"{name}_embedded.json",
            encoder,
            config.seed,
            threads=1,
        )
    sketches = {name: results / f"{name}.npy" for name in ("hashes", "pictures", "keypoints")}
    hash_shard(arrays["clips"], index, **sketches)
    stored = {name: [path] for name, path in sketches.items()}
    match(Stored(**stored, clips=[arrays["clips"]], indices=[index]), results / "matches.parquet", 1)
    split(
        SplitTask(
            videos=plan.videos,
            metadata=[metadata],
            indices=[index],
            matches=results / "matches.parquet",
            output=results / "folds.parquet",
            quarantine=results / "splits/quarantine.parquet",
            audit=results / "audit.json",
            settings=config.splits,
            folds=len(plan.folds),
            given={},
            policy=config.policy,
            allowed=settings["allow_leakage"],
            seed=config.seed,
        )
    )
    check_leakage(results / "folds.parquet", results / "audit.json", "", results / "splits.parquet")


def train(plan: Plan, model, fold: int, results: Path) -> None:
    place = results / f"models/{model.name}/fold-{fold}"
    if model.input == "features":
        data = {"features": [results / "features.parquet"]}
    elif model.input == "predictions":
        members = model.settings["members"]
        data = {"predictions": [results / f"models/{m}/fold-{fold}/predictions.parquet" for m in members]}
    else:
        kind = "embedded" if model.encoder else str(model.settings["size"])
        copies = {"augmented": "augmented_embedded.npy"} if model.encoder else {"decoded": "clips.npy"}
        files = {"clips": f"clips_{kind}.npy", "index": "index.parquet", "augmented_index": "augmented.parquet"}
        data = {name: [results / file] for name, file in (files | copies).items()}
    names = {"model": MODEL_FILES[model.input], "history": "history.csv", "predictions": "predictions.parquet"}
    importlib.import_module(f"clipfold.training.on_{model.input}").fit(
        Task(
            module=model.module,
            settings=model.settings,
            data=data,
            splits=results / "splits.parquet",
            fold=fold,
            outputs={name: place / file for name, file in (names | {"record": "fit.json"}).items()},
            seed=plan.config.seed,
            threads=1,
            scratch=results / "training",
            stored_size=plan.size,
        )
    )


def compare(plan: Plan, results: Path) -> None:
    evaluation = results / "evaluation"

    evaluate(
        EvaluationTask(
            predictions={
                model: [results / f"models/{model}/fold-{fold}/predictions.parquet" for fold in plan.folds]
                for model in MODELS
            },
            splits=results / "splits.parquet",
            quarantine=results / "splits/quarantine.parquet",
            metadata=[results / "metadata.parquet"],
            features=[results / "features.parquet"],
            extras={},
            outputs={name: evaluation / f"{name}.{_ending(name)}" for name in OUTPUTS},
            seed=plan.config.seed,
            audit=results / "audit.json",
        )
    )


def _ending(output: str) -> str:
    if output.startswith(("roc", "precision_recall", "confusion", "reliability")):
        return "pdf" if output.endswith("_pdf") else "svg"
    return "tex" if output.endswith("_tex") else "parquet"


def bundle_task(plan: Plan, results: Path, model: str) -> BundleTask:
    return BundleTask(
        model=model,
        folders={m: [results / f"models/{m}/fold-{fold}" for fold in plan.folds] for m in MODELS},
        finals={},
        evaluation={name: results / f"evaluation/{name}.parquet" for name in TABLES},
        splits=results / "splits.parquet",
        audit=results / "audit.json",
        metadata=[results / "metadata.parquet"],
        clips=[results / "clips.npy"],
        index=[results / "index.parquet"],
        settings={name: plan.settings[name] for name in ("probe", "policy", "decode")},
        labels=plan.labels_digest,
        bundle=results / f"bundles/{model}/bundle.clipfold",
        card=results / f"bundles/{model}/README.md",
    )
