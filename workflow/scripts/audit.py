"""Rule audit."""

from clipfold.leakage.page import write_page
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        audit, folds, matches, clips, indices = (
            snakemake.input[name] for name in ("audit", "folds", "matches", "clips", "indices")
        )
        write_page(audit, folds, matches, clips, indices, snakemake.output[0], snakemake.params.noun)
