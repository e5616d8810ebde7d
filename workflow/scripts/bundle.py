"""Rule bundle."""

from pathlib import Path

from clipfold.delivery.write import BundleTask, write_bundle
from clipfold.storage import job

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source, params = snakemake.input, snakemake.params
        folders = [Path(path).parent for path in source.records]
        each = len(folders) // len(params.models)
        fits = {model: folders[i * each : (i + 1) * each] for i, model in enumerate(params.models)}
        finals = [Path(path).parent for path in source.get("final_records", [])]
        write_bundle(
            BundleTask(
                model=snakemake.wildcards.bundle,
                folders=fits,
                finals=dict(zip(params.models, finals, strict=True)) if finals else {},
                evaluation={name: source[name] for name in ("comparison", "metrics", "choices", "predictions")},
                **{name: source[name] for name in ("splits", "audit", "metadata", "clips", "index")},
                **{name: params[name] for name in ("settings", "labels")},
                output=snakemake.output.bundle,
                card=snakemake.output.card,
            )
        )
