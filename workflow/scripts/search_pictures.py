"""Rule search_pictures."""

from clipfold.leakage.blocks import search_pictures
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, target, block = snakemake.input, snakemake.output, int(snakemake.wildcards.block)
        search_pictures(dict(source.items()), block, snakemake.params.blocks, target.backgrounds, target.parts)
