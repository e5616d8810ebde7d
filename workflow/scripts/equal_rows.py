"""Rule equal_rows."""

from clipfold.storage import job
from clipfold.table.equal import match_rows

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        match_rows(snakemake.input, snakemake.output.rows, snakemake.output.matches)
