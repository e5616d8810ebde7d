# Files of the page besides Python.
PAGE = [*sorted(map(str, Path(SOURCE, "clipfold/report/page").iterdir())), f"{SOURCE}/clipfold/leakage/recall.json"]


rule report:
    input:
        **external(),
        metadata=metadata(),
        splits="results/splits/splits.parquet",
        quarantine=rules.splits.output.quarantine,
        audit=rules.splits.output.audit,
        clips=frames("clips.npy"),
        index=frames("index.parquet"),
        whole=frames(f"{WHOLE_VIEW}.npy") if WHOLE_VIEW in PLAN.views else [],
        features=of_each_shard("results/features/{shard}.parquet") if PLAN.table else [],
        histories=of_each_fold("history.csv"),
        records=of_each_fold("fit.json"),
        explanations=explanations(),
        predictions=rules.evaluate.output.predictions,
        metrics=rules.evaluate.output.metrics,
        comparison=rules.evaluate.output.comparison,
        pairs=rules.evaluate.output.pairs,
        calibration=rules.evaluate.output.calibration,
        slices=rules.evaluate.output.slices,
        choices=rules.evaluate.output.choices,
        unlabelled=rules.evaluate.output.unlabelled,
        coarser_groups=rules.coarser_groups.output[0],
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
        mem_mb=by_attempt(2000 + len(PLAN.videos) // 500),
        runtime=by_attempt(30),
    params:
        models=[model.name for model in PLAN.scored],
        explained=[model.name for model in PLAN.explained],
        folds=len(FOLDS),
        config=PLAN.described,
        labels=lambda wildcards: PLAN.labels_digest,
        positive=PLAN.positive,
        fingerprints=codes(),
        evaluation=["predictions", "metrics", "comparison", "pairs", "calibration", "choices", "slices", "unlabelled"]
        + ["roc", "precision_recall", "confusion", "reliability"],
        benchmarks="results/benchmarks",
        code=code_of("report", "clipfold.report.write", *PAGE),
    script:
        "../workflow/scripts/report.py"
