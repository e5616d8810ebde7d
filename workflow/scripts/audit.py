"""Rule audit."""

from clipfold.leakage.page import write_page
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        write_page(source.audit, source.folds, source.matches, source.clips, source.indices, snakemake.output[0])
