"""Rule hashes."""

from clipfold.leakage.hash_shard import hash_shard
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, target = snakemake.input, snakemake.output
        hash_shard(source.clips, source.index, target.hashes, target.pictures, target.keypoints)
