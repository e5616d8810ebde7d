"""Rule resize."""

from clipfold.clips.resize import resize_shard
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        resize_shard(snakemake.input.clips, snakemake.output[0], int(snakemake.wildcards.size))
