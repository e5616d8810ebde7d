"""Rule features."""

from clipfold.features.extract import extract_shard
from clipfold.features.registry import VIEWS
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        extract_shard(
            metadata=snakemake.input.metadata,
            index=snakemake.input.index,
            arrays={view: snakemake.input[view] for view in VIEWS},
            output=snakemake.output[0],
        )
