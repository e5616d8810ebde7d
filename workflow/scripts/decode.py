"""Rule decode."""

from clipfold.settings import DecodeSettings
from clipfold.storage import job
from clipfold.video.decode_shard import decode_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        decode_shard(
            paths=snakemake.params.paths,
            metadata=snakemake.input.metadata,
            arrays={view: snakemake.output[view] for view in snakemake.params.views},
            index=snakemake.output.index,
            settings=DecodeSettings(**snakemake.params.settings),
            workers=snakemake.threads,
            max_pixels=snakemake.params.max_pixels,
            memory_mb=snakemake.resources.mem_mb,
        )
