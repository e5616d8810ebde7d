"""Rule bundle."""

from pathlib import Path

from clipfold.delivery.task import BundleTask
from clipfold.delivery.write import write_bundle
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        folders = [Path(path).parent for path in source.records]
        finals = [Path(path).parent for path in source.get("final_records", [])]
        each = len(folders) // len(params.models)
        write_bundle(
            BundleTask(
                model=snakemake.wildcards.bundle,
                folders={model: folders[i * each : (i + 1) * each] for i, model in enumerate(params.models)},
                finals=dict(zip(params.models, finals, strict=bool(finals))),
                evaluation={name: source[name] for name in ("comparison", "metrics", "choices", "predictions")},
                **{name: source[name] for name in ("splits", "audit", "metadata", "clips", "index", "features")},
                **{name: params[name] for name in ("settings", "labels", "table", "positive")},
                **dict(snakemake.output.items()),
            )
        )
