"""Rule index_keypoints."""

from clipfold.leakage.blocks import index_keypoints
from clipfold.leakage.videos import Stored
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        stored = Stored(**{name: list(files) for name, files in snakemake.input.items()})
        index_keypoints(stored, dict(snakemake.output.items()))
