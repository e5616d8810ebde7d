"""Rule predictions."""

from pathlib import Path

import clipfold
from clipfold.delivery.run import collect_predictions
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), clipfold.load(snakemake.input.bundle) as bundle:
        collect_predictions(
            bundle,
            snakemake.input.shards,
            labels=snakemake.params.labels,
            groups=snakemake.params.groups,
            outputs=[Path(snakemake.output.table), Path(snakemake.output.csv)],
            page=Path(snakemake.output.page),
            report=Path(snakemake.output.report),
        )
