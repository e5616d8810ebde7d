"""Rule gate."""

from clipfold import job
from clipfold.leakage.gate import gate

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        gate(snakemake.input.dealt, snakemake.input.audit, snakemake.input.page, snakemake.output[0])
