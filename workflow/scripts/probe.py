"""Rule probe."""

from clipfold.settings import ProbeSettings
from clipfold.storage import job
from clipfold.video.probe_shard import probe_shard, record_contents

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params, metadata = snakemake.params, snakemake.output[0]
        settings, memory_mb = ProbeSettings(**params.settings), snakemake.resources.mem_mb
        more = params.segments, params.modality, params.rates
        probe_shard(params.paths, metadata, settings, snakemake.threads, memory_mb, *more)
        record_contents(metadata, params.content, params.record)
