"""Rules embed_ENCODER."""

from clipfold.models.embed import embed_shards
from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job
from clipfold.storage.files import write_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), reserve_gpus(snakemake.resources.get("gpu", 0), snakemake.log[0]):
        source, output, params = snakemake.input, snakemake.output, snakemake.params
        kinds = ("clips", "index", "drawn") if snakemake.wildcards.stored == "augmented" else ("clips",)
        files = zip(*(source[kind] for kind in kinds), strict=True)
        shards = dict(zip(params.arrays, files, strict=True))
        embed_shards(shards, output.facts, params.settings, params.seed, snakemake.threads, params.code)
        if output.embeddings not in shards:
            write_json(output.embeddings, {"embeddings": list(shards)})
