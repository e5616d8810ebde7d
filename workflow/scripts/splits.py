"""Rule splits."""

from clipfold.manifest.labels import read_planned
from clipfold.settings import PolicySettings, SplitSettings
from clipfold.splits.split import SplitTask, split
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, output, params = snakemake.input, snakemake.output, snakemake.params
        split(
            SplitTask(
                videos=read_planned(params.manifest, params.columns, params.group_separator, params.labels),
                output=output.folds,
                quarantine=output.quarantine,
                audit=output.audit,
                settings=SplitSettings(**params.settings),
                policy=PolicySettings(**params.policy),
                **{name: source[name] for name in ("metadata", "indices", "matches")},
                **{name: params[name] for name in ("folds", "given", "allowed", "seed")},
            )
        )
