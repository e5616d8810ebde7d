rule augment:
    input:
        clips="results/frames/{shard}/clips.npy",
        index="results/frames/{shard}/index.parquet",
    output:
        clips=passing("results/augmented/{shard}/clips.npy", needed=PLAN.trains_as_stored),
        index="results/augmented/{shard}/index.parquet",
    log:
        "logs/augment/{shard}.log",
    benchmark:
        "results/benchmarks/augment/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(60),
    params:
        settings=SETTINGS["augment"],
        seed=SETTINGS["seed"],
        code=code_of("augment", "clipfold.clips.augment"),
    script:
        "../workflow/scripts/augment.py"
