"""Rule matches."""

from clipfold.leakage.matches import match
from clipfold.leakage.videos import Stored
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        stored = Stored(**{name: list(files) for name, files in snakemake.input.items()})
        match(stored, snakemake.output[0], snakemake.threads)
