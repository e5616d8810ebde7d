"""Rules explain_MODEL."""

from importlib import import_module

from clipfold.explain.task import ExplainTask
from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job
from clipfold.storage.files import read_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), reserve_gpus(snakemake.resources.get("gpu", 0), snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        stored = read_json(source.collection) if hasattr(source, "collection") else source
        task = ExplainTask(
            data={kind: list(stored[kind]) for kind in params.data},
            output=snakemake.output[0],
            threads=snakemake.threads,
            **{name: params[name] for name in ("settings", "seed", "stored_size")},
            **{name: source[name] for name in ("models", "predictions", "records")},
            **params.shown,
        )
        import_module(f"clipfold.explain.on_{params.input}").explain(task)
