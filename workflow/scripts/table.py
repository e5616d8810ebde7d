"""Rule table."""

from clipfold.storage import job
from clipfold.table.rows import write_shard

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        write_shard(
            output=snakemake.output[0],
            **{name: params[name] for name in ("manifest", "columns", "kinds", "ids", "digest")},
        )
