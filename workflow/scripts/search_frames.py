"""Rule search_frames."""

from clipfold.leakage.blocks import search_frames
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        index, block = dict(snakemake.input.items()), int(snakemake.wildcards.block)
        known, common = index.pop("known"), index.pop("common")
        search_frames(index, known, common, block, snakemake.params.blocks, snakemake.output[0])
