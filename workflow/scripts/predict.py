"""Rule predict."""

from pathlib import Path

import clipfold
from clipfold.delivery.predict import predict_to
from clipfold.storage import job
from clipfold.video.parts import Stated

if __name__ == "__main__":
    with job.logged(snakemake.log[0]), clipfold.load(snakemake.input.bundle) as bundle:
        params, limits = snakemake.params, (snakemake.threads, snakemake.resources.mem_mb)
        stated = Stated(params.segments, params.rates)
        predict_to(bundle, params.paths, Path(snakemake.output[0]), *limits, stated=stated)
