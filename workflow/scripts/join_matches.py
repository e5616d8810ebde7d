"""Rule matches, of videos in several blocks."""

from clipfold.leakage.blocks import join_matches
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        index = dict(snakemake.input.items())
        known, frames, _ = index.pop("known"), index.pop("frames"), index.pop("clips")
        join_matches(index, known, frames, snakemake.output[0])
