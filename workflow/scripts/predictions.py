"""Rule predictions."""

from pathlib import Path

import clipfold
from clipfold.delivery.rows import find_rows
from clipfold.delivery.run import collect_predictions, predict_tables
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), clipfold.load(snakemake.input.bundle) as bundle:
        params, page, report = snakemake.params, Path(snakemake.output.page), Path(snakemake.output.report)
        outputs = [Path(snakemake.output.table), Path(snakemake.output.csv)]
        if params.get("manifest"):
            predict_tables(bundle, find_rows(bundle, [params.manifest]), outputs, page, report)
        else:
            collect_predictions(bundle, snakemake.input.shards, params.labels, params.groups, outputs, page, report)
