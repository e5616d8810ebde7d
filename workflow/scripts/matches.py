"""Rule matches."""

from clipfold import job
from clipfold.leakage.matches import match

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        match(source.hashes, source.pictures, source.indices, snakemake.output[0], snakemake.threads)
