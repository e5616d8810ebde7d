"""Rule augment."""

from clipfold.clips.augment import augment_shard
from clipfold.settings import AugmentSettings
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        augment_shard(
            clips=snakemake.input.clips,
            index=snakemake.input.index,
            output=snakemake.output.clips,
            output_index=snakemake.output.index,
            settings=AugmentSettings(**snakemake.params.settings),
            seed=snakemake.params.seed,
        )
