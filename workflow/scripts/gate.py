"""Rule gate."""

from clipfold.leakage.check import gate
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        gate(snakemake.input.dealt, snakemake.input.audit, snakemake.input.page, snakemake.output[0])
