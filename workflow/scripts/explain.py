"""Rules explain_MODEL."""

from importlib import import_module

from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job
from clipfold.storage.files import read_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), reserve_gpus(snakemake.resources.get("gpu", 0)):
        source, params = snakemake.input, snakemake.params
        stored = read_json(source.collection) if hasattr(source, "collection") else source
        clips_only = {name: params[name] for name in ("module", "stored_size")} | params.shown
        import_module(f"clipfold.explain.on_{params.input}").explain(
            settings=params.settings,
            data={kind: list(stored[kind]) for kind in params.data},
            models=source.models,
            predictions=source.predictions,
            records=source.records,
            output=snakemake.output[0],
            seed=params.seed,
            threads=snakemake.threads,
            **(clips_only if params.input == "clips" else {}),
        )
