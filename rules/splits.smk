rule splits:
    input:
        metadata=expand("results/metadata/{shard}.parquet", shard=SHARDS),
        indices=expand("results/frames/{shard}/index.parquet", shard=SHARDS),
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
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["splits"],
        folds=len(FOLDS),
        given=GIVEN_SPLITS,
        policy=config["policy"],
        allowed=config["allow_leakage"],
        seed=config["seed"],
        code=code_of("splits", "clipfold.splits.split"),
    script:
        "../workflow/scripts/splits.py"
