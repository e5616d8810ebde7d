"""Rule check_leakage."""

from clipfold.leakage.check import check_leakage
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        check_leakage(snakemake.input.folds, snakemake.input.audit, snakemake.params.page, snakemake.output[0])
