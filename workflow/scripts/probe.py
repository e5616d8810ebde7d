"""Rule probe."""

from clipfold.settings import ProbeSettings
from clipfold.storage import job
from clipfold.video.probe_shard import probe_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        probe_shard(
            videos=snakemake.params.videos,
            output=snakemake.output[0],
            settings=ProbeSettings(**snakemake.params.settings),
            workers=snakemake.threads,
            memory_mb=snakemake.resources.mem_mb,
        )
