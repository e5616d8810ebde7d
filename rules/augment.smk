rule augment:
    input:
        clips="results/frames/{shard}/clips.npy",
        index="results/frames/{shard}/index.parquet",
    output:
        clips=passing("results/augmented/{shard}/clips.npy", needed=TRAINED_AS_STORED),
        index="results/augmented/{shard}/index.parquet",
    log:
        "logs/augment/{shard}.log",
    benchmark:
        "results/benchmarks/augment/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        settings=config["augment"],
        seed=config["seed"],
        code=code_of("augment", "clipfold.clips.augment"),
    script:
        "../workflow/scripts/augment.py"
