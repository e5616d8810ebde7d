from clipfold.storage.layout import LEDGER


# Trains nothing that is compared: the groups themselves are on trial.
rule coarser_groups:
    input:
        **embeddings(),
        features=of_each_shard("results/features/{shard}.parquet"),
        splits="results/splits/splits.parquet",
        matches="results/splits/matches.parquet",
    output:
        "results/evaluation/coarser_groups.json",
    log:
        "logs/coarser_groups.log",
    benchmark:
        "results/benchmarks/coarser_groups.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(30),
    params:
        seed=SETTINGS["seed"],
        code=code_of("coarser_groups", "clipfold.evaluation.coarser_groups"),
    script:
        "../workflow/scripts/coarser_groups.py"


rule evaluate:
    input:
        predictions=of_each_fold("predictions.parquet"),
        splits="results/splits/splits.parquet",
        audit="results/splits/audit.json",
        quarantine="results/splits/quarantine.parquet",
        metadata=metadata(),
        features=of_each_shard("results/features/{shard}.parquet"),
    output:
        predictions="results/evaluation/predictions.parquet",
        metrics="results/evaluation/metrics.parquet",
        comparison="results/evaluation/comparison.parquet",
        pairs="results/evaluation/pairs.parquet",
        choices="results/evaluation/choices.parquet",
        unlabelled="results/evaluation/unlabelled.parquet",
        calibration="results/evaluation/calibration.parquet",
        bins="results/evaluation/bins.parquet",
        slices="results/evaluation/slices.parquet",
        comparison_tex="results/evaluation/comparison.tex",
        per_class_tex="results/evaluation/per_class.tex",
        roc="results/evaluation/roc.svg",
        roc_pdf="results/evaluation/roc.pdf",
        precision_recall="results/evaluation/precision_recall.svg",
        precision_recall_pdf="results/evaluation/precision_recall.pdf",
        confusion="results/evaluation/confusion.svg",
        confusion_pdf="results/evaluation/confusion.pdf",
        reliability="results/evaluation/reliability.svg",
        reliability_pdf="results/evaluation/reliability.pdf",
    log:
        "logs/evaluate.log",
    benchmark:
        "results/benchmarks/evaluate.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000 + len(PLAN.videos) // 500),
        runtime=by_attempt(60),
    params:
        models=[model.name for model in PLAN.scored],
        shortcuts=[model.name for model in PLAN.shortcuts],
        folds=len(FOLDS),
        extras=lambda wildcards: PLAN.extras(),
        seed=SETTINGS["seed"],
        positive=PLAN.positive,
        ledger=LEDGER,
        code=code_of("evaluate", "clipfold.evaluation.evaluate"),
    script:
        "../workflow/scripts/evaluate.py"
