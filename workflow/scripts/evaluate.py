"""Rule evaluate."""

from clipfold.evaluation.evaluate import evaluate
from clipfold.evaluation.task import EvaluationTask
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        of_each = {model: slice(i * params.folds, (i + 1) * params.folds) for i, model in enumerate(params.models)}
        evaluate(
            EvaluationTask(
                predictions={model: source.predictions[rows] for model, rows in of_each.items()},
                outputs=dict(snakemake.output.items()),
                **{name: source[name] for name in ("splits", "quarantine", "audit", "metadata", "features")},
                **{name: params[name] for name in ("shortcuts", "extras", "seed", "positive", "ledger")},
            )
        )
