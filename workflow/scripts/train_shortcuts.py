"""Rule train_shortcuts."""

from clipfold.storage import job
from clipfold.storage.files import read_json
from clipfold.training.on_features import fit
from clipfold.training.task import Task

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        stored = read_json(source.collection) if hasattr(source, "collection") else source
        for i, settings in enumerate(params.settings.values()):
            task = Task(
                settings=settings,
                data={"features": list(stored["features"])},
                splits=source.splits,
                fold=int(snakemake.wildcards.fold),
                outputs={name: files[i] for name, files in snakemake.output.items()},
                threads=snakemake.threads,
                scratch="",
                **{name: params[name] for name in ("module", "views", "stored_size", "seed")},
            )
            fit(task)
