"""Rule coarser_groups."""

from clipfold.evaluation.coarser_groups import score_coarser_groups
from clipfold.storage import job
from clipfold.storage.files import listed

if __name__ == "__main__":
    with job.logged(snakemake.log[0]):
        source = snakemake.input
        score_coarser_groups(
            embedded={name: listed(source[name]) for name in ("embeddings", "index")}
            if source.get("embeddings")
            else None,
            output=snakemake.output[0],
            seed=snakemake.params.seed,
            **{name: source[name] for name in ("features", "splits", "matches")},
        )
