"""Rules final_MODEL."""

from importlib import import_module

from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job
from clipfold.storage.files import read_json
from clipfold.training.final import FinalTask

if __name__ == "__main__":
    gpus, fits = snakemake.resources.get("gpu", 0), snakemake.resources.get("fits_per_gpu", 1)
    with job.logged(snakemake.log[0]), reserve_gpus(gpus, snakemake.log[0], fits_per_gpu=fits):
        source, params = snakemake.input, snakemake.params
        stored = read_json(source.collection) if hasattr(source, "collection") else source
        task = FinalTask(
            data={kind: list(stored[kind]) for kind in params.data},
            outputs={name: snakemake.output[name] for name in ("model", "history", "record")},
            threads=snakemake.threads,
            gpus=gpus,
            views=params.get("views", {}),
            **{name: source[name] for name in ("splits", "records", "histories")},
            **{name: params[name] for name in ("module", "settings", "scratch", "stored_size", "seed")},
        )
        import_module(f"clipfold.training.final_on_{params.input}").fit(task)
