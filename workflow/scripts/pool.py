"""Rules pool_ENCODER."""

from clipfold.features.embedding import pool_shards
from clipfold.storage import job
from clipfold.storage.files import listed

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        pool_shards(listed([source.embeddings]), source.facts, source.index, snakemake.output[0])
