rule splits:
    input:
        metadata=metadata(),
        indices=metadata() if PLAN.table else frames("index.parquet"),
        matches="results/splits/matches.parquet",
    output:
        folds="results/splits/folds.parquet",
        quarantine="results/splits/quarantine.parquet",
        audit="results/splits/audit.json",
    log:
        "logs/splits.log",
    benchmark:
        "results/benchmarks/splits.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000 + len(PLAN.videos) // 500),
        runtime=by_attempt(30),
    params:
        manifest=current_manifest,
        columns=PLAN.columns,
        group_separator=SETTINGS["group_separator"],
        labels=lambda wildcards: PLAN.labels_digest,
        settings=SETTINGS["splits"],
        folds=len(FOLDS),
        given=lambda wildcards: PLAN.given_splits,
        policy=PLAN.policy,
        allowed=SETTINGS["allow_leakage"],
        seed=SETTINGS["seed"],
        code=code_of("splits", "clipfold.splits.split"),
    script:
        "../workflow/scripts/splits.py"
