"""Rule probe."""

from clipfold.settings import ProbeSettings
from clipfold.storage import job
from clipfold.video.probe_shard import probe_shard, record_contents

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params, metadata = snakemake.params, snakemake.output[0]
        probe_shard(params.paths, metadata, ProbeSettings(**params.settings), snakemake.threads)
        record_contents(metadata, params.content, params.record)
