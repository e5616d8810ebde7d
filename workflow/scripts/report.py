"""Rule report."""

from clipfold.report.task import ReportTask
from clipfold.report.write import write_report
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        of_each = {model: slice(i * params.folds, (i + 1) * params.folds) for i, model in enumerate(params.models)}
        write_report(
            ReportTask(
                evaluation={name: source[name] for name in params.evaluation},
                histories={model: source.histories[rows] for model, rows in of_each.items()},
                records={model: source.records[rows] for model, rows in of_each.items()},
                explanations=dict(zip(params.explained, source.explanations, strict=True)),
                output=snakemake.output[0],
                external=source.get("external"),
                coarser_groups=source.coarser_groups,
                **{n: source[n] for n in ("metadata", "splits", "quarantine", "audit")},
                **{n: source[n] for n in ("clips", "index", "whole", "features")},
                **{name: params[name] for name in ("benchmarks", "config", "fingerprints", "labels", "positive")},
            )
        )
