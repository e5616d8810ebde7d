"""Rule copies."""

from clipfold.clips.augment import Copies, store_copies
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        copies = Copies(source.clips, source.index, source.drawn, int(snakemake.wildcards.size), snakemake.params.clips)
        store_copies(copies, snakemake.output[0])
