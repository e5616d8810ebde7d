"""Rule matches."""

from clipfold.leakage.matches import match
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        match(source.hashes, source.pictures, source.indices, snakemake.output[0], snakemake.threads)
