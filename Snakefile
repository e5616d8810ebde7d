"""clipfold: from a manifest of labelled videos to a report that compares models. See README.md."""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/config.smk"
include: "rules/inputs.smk"


if PLAN.table:

    include: "rules/table.smk"

else:

    include: "rules/probe.smk"
    include: "rules/decode.smk"
    include: "rules/augment.smk"
    include: "rules/resize.smk"
    include: "rules/embed.smk"
    include: "rules/features.smk"
    include: "rules/matches.smk"
    include: "rules/predict.smk"


include: "rules/leakage.smk"
include: "rules/splits.smk"
include: "rules/collect.smk"
include: "rules/train.smk"
include: "rules/explain.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/bundle.smk"
include: "rules/hooks.smk"


rule all:
    default_target: True
    input:
        if_training(rules.report.output),
        if_training(rules.evaluate.output),
        if_training(rules.splits.output),
        if_training(rules.audit.output),
        if_training(rules.check_leakage.output),
        *[of_each_fold(file) for file in ("fit.json", "history.csv", "predictions.parquet")],
        model_files(),
        explanations(),
        bundles(),
        predictions(),
