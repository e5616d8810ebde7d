"""Rule join_recordings."""

from clipfold.leakage.blocks import join_recordings
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        index = dict(snakemake.input.items())
        backgrounds, parts = index.pop("backgrounds"), index.pop("parts")
        join_recordings(index, backgrounds, parts, snakemake.output.known, snakemake.output.common)
