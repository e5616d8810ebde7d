"""Rule evaluate."""

from clipfold.evaluation.evaluate import evaluate
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        files, folds = snakemake.input.predictions, snakemake.params.folds
        evaluate(
            predictions={m: files[i * folds : (i + 1) * folds] for i, m in enumerate(snakemake.params.models)},
            splits=snakemake.input.splits,
            audit=snakemake.input.audit,
            quarantine=snakemake.input.quarantine,
            metadata=snakemake.input.metadata,
            features=snakemake.input.features,
            shortcuts=snakemake.params.shortcuts,
            extras=snakemake.params.extras,
            outputs=dict(snakemake.output.items()),
            seed=snakemake.params.seed,
        )
