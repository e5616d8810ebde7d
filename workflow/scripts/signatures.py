"""Rule signatures."""

from clipfold import job
from clipfold.leakage.signatures import sign_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, target = snakemake.input, snakemake.output
        sign_shard(source.clips, source.index, target.hashes, target.pictures)
