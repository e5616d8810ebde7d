"""Rules pool_ENCODER."""

from clipfold.features.embedding import pool_shard
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        pool_shard(source.embeddings, source.facts, source.index, snakemake.output[0])
