"""Rule report."""

from clipfold import job
from clipfold.evaluation.report import write_report

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, models, folds = snakemake.input, snakemake.params.models, snakemake.params.folds
        write_report(
            evaluation={name: source[name] for name in snakemake.params.evaluation},
            metadata=source.metadata,
            splits=source.splits,
            quarantine=source.quarantine,
            audit=source.audit,
            histories={m: source.histories[i * folds : (i + 1) * folds] for i, m in enumerate(models)},
            records={m: source.records[i * folds : (i + 1) * folds] for i, m in enumerate(models)},
            benchmarks=snakemake.params.benchmarks,
            output=snakemake.output[0],
            seed=snakemake.params.seed,
        )
