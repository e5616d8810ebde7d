"""Rules collect_DATA."""

from clipfold.storage import job
from clipfold.storage.files import listed, write_json

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        write_json(snakemake.output[0], {kind: listed(snakemake.input[kind]) for kind in snakemake.params.kinds})
