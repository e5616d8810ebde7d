rule audit:
    input:
        audit="results/splits/audit.json",
        folds="results/splits/folds.parquet",
        matches="results/splits/matches.parquet",
        clips=frames(f"{SEARCHED}.npy"),
        indices=frames("index.parquet"),
    output:
        report(
            "results/splits/audit.html",
            caption="../workflow/report/audit.rst",
            category="Leakage audit",
        ),
    log:
        "logs/audit.log",
    benchmark:
        "results/benchmarks/audit.tsv"
    priority: 1  # before check_leakage, whose error points to the page
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000 + len(PLAN.videos) // 500),
        runtime=by_attempt(30),
    params:
        noun="row" if PLAN.table else PLAN.config.modality,
        code=code_of(
            "audit",
            "clipfold.leakage.page",
            *(f"{SOURCE}/clipfold/leakage/{name}" for name in ("page.html", "recall.json")),
        ),
    script:
        "../workflow/scripts/audit.py"


# A rule of its own, not the end of `splits`: Snakemake would delete what a failing job wrote. It does not wait for the
# page (an `ancient` input makes Snakemake skip jobs that lack their output, 9.27), which is written first all the same.
rule check_leakage:
    input:
        folds="results/splits/folds.parquet",
        audit="results/splits/audit.json",
    output:
        "results/splits/splits.parquet",
    log:
        "logs/check_leakage.log",
    benchmark:
        "results/benchmarks/check_leakage.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(10),
    params:
        page="results/splits/audit.html",
        code=code_of("check_leakage", "clipfold.leakage.check"),
    script:
        "../workflow/scripts/check_leakage.py"
