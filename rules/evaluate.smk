rule evaluate:
    input:
        predictions=of_each_fold("predictions.parquet"),
        splits="results/splits/splits.parquet",
        audit="results/splits/audit.json",
        quarantine="results/splits/quarantine.parquet",
        metadata=expand("results/metadata/{shard}.parquet", shard=SHARDS),
        features=expand("results/features/{shard}.parquet", shard=SHARDS),
    output:
        predictions="results/evaluation/predictions.parquet",
        metrics="results/evaluation/metrics.parquet",
        comparison="results/evaluation/comparison.parquet",
        pairs="results/evaluation/pairs.parquet",
        choices="results/evaluation/choices.parquet",
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
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        models=[model.name for model in MODELS],
        shortcuts=[model.name for model in SHORTCUTS],
        folds=len(FOLDS),
        extras=lambda wildcards: read_extras(MANIFEST, config["columns"]),
        seed=config["seed"],
        code=code_of("evaluate", "clipfold.evaluation.evaluate"),
    script:
        "../workflow/scripts/evaluate.py"


rule report:
    input:
        metadata=expand("results/metadata/{shard}.parquet", shard=SHARDS),
        splits="results/splits/splits.parquet",
        quarantine=rules.splits.output.quarantine,
        audit=rules.splits.output.audit,
        clips=expand("results/frames/{shard}/clips.npy", shard=SHARDS),
        index=expand("results/frames/{shard}/index.parquet", shard=SHARDS),
        histories=of_each_fold("history.csv"),
        records=of_each_fold("fit.json"),
        explanations=expand("results/explanations/{model}.parquet", model=[m.name for m in EXPLAINED]),
        predictions=rules.evaluate.output.predictions,
        metrics=rules.evaluate.output.metrics,
        comparison=rules.evaluate.output.comparison,
        pairs=rules.evaluate.output.pairs,
        calibration=rules.evaluate.output.calibration,
        slices=rules.evaluate.output.slices,
        roc=rules.evaluate.output.roc,
        precision_recall=rules.evaluate.output.precision_recall,
        confusion=rules.evaluate.output.confusion,
        reliability=rules.evaluate.output.reliability,
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
        explained=[model.name for model in EXPLAINED],
        folds=len(FOLDS),
        config=config | {"models": [model_entry(model) for model in MODELS if model not in SHORTCUTS]},
        fingerprints=codes(),
        evaluation=["predictions", "metrics", "comparison", "pairs", "calibration", "slices"]
        + ["roc", "precision_recall", "confusion", "reliability"],
        benchmarks="results/benchmarks",
        code=code_of("report", "clipfold.report.write", *PAGE),
    script:
        "../workflow/scripts/report.py"
