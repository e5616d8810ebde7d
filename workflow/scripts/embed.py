"""Rules embed_ENCODER."""

from clipfold.models.embed import embed_shard
from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), reserve_gpus(snakemake.resources.get("gpu", 0), snakemake.log[0]):
        output, params = snakemake.output, snakemake.params
        embed_shard(
            snakemake.input.clips, output.embeddings, output.facts, params.settings, params.seed, snakemake.threads
        )
