"""Rule scale."""

from clipfold import job
from clipfold.scale import scale_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        scale_shard(snakemake.input.clips, snakemake.output[0], int(snakemake.wildcards.size))
