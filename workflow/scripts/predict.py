"""Rule predict."""

from pathlib import Path

import clipfold
from clipfold.delivery.predict import predict_to
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), clipfold.load(snakemake.input.bundle) as bundle:
        workers, memory_mb = snakemake.threads, snakemake.resources.mem_mb
        predict_to(bundle, snakemake.params.paths, Path(snakemake.output[0]), workers, memory_mb)
