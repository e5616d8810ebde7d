"""Rule probe."""

from pathlib import Path

from clipfold.settings import ProbeSettings
from clipfold.storage import job
from clipfold.storage.cache import Cache
from clipfold.video.probe_shard import probe_shard, record_contents

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params, metadata = snakemake.params, snakemake.output[0]
        settings, memory_mb = ProbeSettings(**params.settings), snakemake.resources.mem_mb
        options = {name: params[name] for name in ("segments", "modality", "rates")}
        cache = Cache(Path(params.cache), params.code) if params.cache else None
        probe_shard(params.paths, metadata, settings, snakemake.threads, memory_mb, **options, cache=cache)
        record_contents(metadata, params.content, params.record)
