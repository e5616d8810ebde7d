"""Rules embed_ENCODER."""

from clipfold.models.embed import embed_shard
from clipfold.resources.gpus import reserve_gpus
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), reserve_gpus(snakemake.resources.get("gpu", 0), snakemake.log[0]):
        source, output, params = snakemake.input, snakemake.output, snakemake.params
        clips = source.clips
        if snakemake.wildcards.stored == "augmented":
            from clipfold.clips.augment import Copies  # OpenCV: only for this

            clips = Copies(source.clips, source.index, source.drawn, params.settings["size"])
        embed_shard(clips, output.embeddings, output.facts, params.settings, params.seed, snakemake.threads)
