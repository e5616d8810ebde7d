"""Rule signatures."""

from clipfold.leakage.hashes import sign_shard
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, target = snakemake.input, snakemake.output
        sign_shard(source.clips, source.index, target.hashes, target.pictures)
