"""Rule splits."""

from pathlib import Path

from clipfold.manifest.labels import read_planned
from clipfold.settings import PolicySettings, SplitSettings
from clipfold.splits.split import SplitTask, split
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        params = snakemake.params
        task = SplitTask(
            videos=read_planned(Path(params.manifest), params.columns, params.labels),
            metadata=snakemake.input.metadata,
            indices=snakemake.input.indices,
            matches=snakemake.input.matches,
            output=snakemake.output.folds,
            quarantine=snakemake.output.quarantine,
            audit=snakemake.output.audit,
            settings=SplitSettings(**params.settings),
            folds=params.folds,
            given=params.given,
            policy=PolicySettings(**params.policy),
            allowed=params.allowed,
            seed=params.seed,
        )
        split(task)
