"""Rules explain_MODEL."""

from importlib import import_module

from clipfold import job
from clipfold.devices import own_devices
from clipfold.store import read_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), own_devices(snakemake.resources.get("gpu", 0)):
        params, stored = snakemake.params, read_json(snakemake.input.collection)
        clips_only = {name: params[name] for name in ("module", "stored_size")} | params.shown
        import_module(f"clipfold.explain.on_{params.input}").explain(
            settings=params.settings,
            data={name: stored[name] for name in params.data},
            models=snakemake.input.models,
            predictions=snakemake.input.predictions,
            records=snakemake.input.records,
            output=snakemake.output[0],
            seed=params.seed,
            threads=snakemake.threads,
            **(clips_only if params.input == "clips" else {}),
        )
