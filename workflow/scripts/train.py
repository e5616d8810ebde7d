"""Rules train_MODEL."""

from importlib import import_module

from clipfold import job
from clipfold.training.task import Task

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        task = Task(
            module=params.module,
            settings=params.settings,
            data={name: list(snakemake.input[name]) for name in params.data},
            splits=snakemake.input.splits,
            fold=int(snakemake.wildcards.fold),
            outputs={name: snakemake.output[name] for name in ("model", "history", "predictions", "record")},
            seed=params.seed,
            threads=snakemake.threads,
            scratch=params.scratch,
            stored_size=params.stored_size,
            gpus=params.gpus,
        )
        import_module(f"clipfold.training.on_{params.input}").fit(task)
