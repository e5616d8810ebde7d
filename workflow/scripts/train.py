"""Rules train_MODEL."""

from importlib import import_module

from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job
from clipfold.storage.files import read_json
from clipfold.training.task import Task

if __name__ == "__main__":
    gpus, fits = snakemake.resources.get("gpu", 0), snakemake.resources.get("fits_per_gpu", 1)
    with job.logged(snakemake.log[0]), reserve_gpus(gpus, snakemake.log[0], fits_per_gpu=fits):
        source, params = snakemake.input, snakemake.params
        stored = read_json(source.collection) if hasattr(source, "collection") else source
        task = Task(
            data={kind: list(stored[kind]) for kind in params.data},
            splits=source.splits,
            fold=int(snakemake.wildcards.fold),
            outputs={name: snakemake.output[name] for name in ("model", "history", "predictions", "record")},
            threads=snakemake.threads,
            gpus=gpus,
            views=params.get("views", {}),
            **{name: params[name] for name in ("module", "settings", "scratch", "stored_size", "seed")},
        )
        import_module(f"clipfold.training.on_{params.input}").fit(task)
