"""Rule augment."""

from clipfold.clips.augment import draw_shard
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        draw_shard(snakemake.input.index, snakemake.output[0], seed=params.seed, **params.drawn)
