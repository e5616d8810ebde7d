"""Rules explain_MODEL."""

from importlib import import_module

from clipfold import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        clips_only = {name: params[name] for name in ("module", "stored_size")} | params.shown
        import_module(f"clipfold.explain.on_{params.input}").explain(
            settings=params.settings,
            data={name: list(snakemake.input[name]) for name in params.data},
            models=snakemake.input.models,
            predictions=snakemake.input.predictions,
            records=snakemake.input.records,
            output=snakemake.output[0],
            seed=params.seed,
            threads=snakemake.threads,
            **(clips_only if params.input == "clips" else {}),
        )
