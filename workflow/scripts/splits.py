"""Rule splits."""

from clipfold.settings import PolicySettings, SplitSettings
from clipfold.splits.split import SplitTask, split
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        task = SplitTask(
            metadata=snakemake.input.metadata,
            indices=snakemake.input.indices,
            matches=snakemake.input.matches,
            output=snakemake.output.folds,
            quarantine=snakemake.output.quarantine,
            audit=snakemake.output.audit,
            settings=SplitSettings(**snakemake.params.settings),
            folds=snakemake.params.folds,
            given=snakemake.params.given,
            policy=PolicySettings(**snakemake.params.policy),
            allowed=snakemake.params.allowed,
            seed=snakemake.params.seed,
        )
        split(task)
