"""Rules train_MODEL."""

from importlib import import_module

from clipfold import job
from clipfold.store import read_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        clips_only = {name: params[name] for name in ("scratch", "stored_size", "gpus")}
        import_module(f"clipfold.training.on_{params.input}").fit(
            module=params.module,
            settings=params.settings,
            data=read_json(source.collection) if "collection" in source.keys() else {"predictions": source.predictions},
            splits=source.splits,
            fold=int(snakemake.wildcards.fold),
            outputs={name: snakemake.output[name] for name in ("model", "history", "predictions", "record")},
            seed=params.seed,
            threads=snakemake.threads,
            **(clips_only if params.input == "clips" else {}),
        )
