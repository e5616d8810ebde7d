"""Rule report."""

from clipfold.report.write import write_report
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        of_each = {model: slice(i * params.folds, (i + 1) * params.folds) for i, model in enumerate(params.models)}
        write_report(
            evaluation={name: source[name] for name in params.evaluation},
            histories={model: source.histories[part] for model, part in of_each.items()},
            records={model: source.records[part] for model, part in of_each.items()},
            explanations=dict(zip(params.explained, source.explanations, strict=True)),
            benchmarks=params.benchmarks,
            output=snakemake.output[0],
            config=params.config,
            fingerprints=params.fingerprints,
            **{name: source[name] for name in ("metadata", "splits", "quarantine", "audit", "clips", "index")},
        )
