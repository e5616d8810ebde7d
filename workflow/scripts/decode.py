"""Rule decode."""

from pathlib import Path

from clipfold.settings import DecodeSettings
from clipfold.storage import job
from clipfold.storage.cache import Cache
from clipfold.video.decode_shard import decode_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        decode_shard(
            paths=params.paths,
            metadata=snakemake.input.metadata,
            arrays={view: snakemake.output[view] for view in params.views},
            index=snakemake.output.index,
            settings=DecodeSettings(**params.settings),
            workers=snakemake.threads,
            max_pixels=params.max_pixels,
            memory_mb=snakemake.resources.mem_mb,
            cache=Cache(Path(params.cache), params.code) if params.cache else None,
        )
