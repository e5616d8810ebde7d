rule evaluate:
    input:
        predictions=of_each_fold("predictions.parquet"),
        splits="results/splits/splits.parquet",
        quarantine="results/splits/quarantine.parquet",
    output:
        predictions="results/evaluation/predictions.parquet",
        metrics="results/evaluation/metrics.parquet",
        comparison="results/evaluation/comparison.parquet",
        roc="results/evaluation/roc.svg",
        confusion="results/evaluation/confusion.svg",
    log:
        "logs/evaluate.log",
    benchmark:
        "results/benchmarks/evaluate.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        models=[model.name for model in MODELS],
        folds=len(FOLDS),
        seed=config["seed"],
        code=code_of("evaluate", "clipfold.evaluation.evaluate"),
    script:
        "../workflow/scripts/evaluate.py"


rule report:
    input:
        metadata=expand("results/metadata/{shard}.parquet", shard=SHARDS),
        splits=rules.splits.output.splits,
        quarantine=rules.splits.output.quarantine,
        audit=rules.splits.output.audit,
        histories=of_each_fold("history.csv"),
        records=of_each_fold("fit.json"),
        predictions=rules.evaluate.output.predictions,
        metrics=rules.evaluate.output.metrics,
        comparison=rules.evaluate.output.comparison,
        roc=rules.evaluate.output.roc,
        confusion=rules.evaluate.output.confusion,
    output:
        report(
            "results/report/index.html",
            caption="../workflow/report/report.rst",
            category="Report",
        ),
    log:
        "logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        models=[model.name for model in MODELS],
        folds=len(FOLDS),
        seed=config["seed"],
        benchmarks="results/benchmarks",
        code=code_of("report", "clipfold.evaluation.report", PAGE),
    script:
        "../workflow/scripts/report.py"
