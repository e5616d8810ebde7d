# What is drawn for the augmented copies; from it, each copy can be made again byte for byte.
rule augment:
    input:
        index="results/frames/{shard}/index.parquet",
    output:
        "results/augmented/{shard}/index.parquet",
    log:
        "logs/augment/{shard}.log",
    benchmark:
        "results/benchmarks/augment/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(10),
    params:
        drawn=PLAN.config.augment.drawn,
        seed=SETTINGS["seed"],
        code=code_of("augment", "clipfold.clips.augment"),
    script:
        "../workflow/scripts/augment.py"


# The copies themselves, at the size that a model asks for; only with `keep: stored`.
rule copies:
    input:
        **REPLAYED,
    output:
        "results/augmented/{shard}/{size}.npy",
    log:
        "logs/copies/{size}/{shard}.log",
    benchmark:
        "results/benchmarks/copies/{size}/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(60),
    params:
        clips=SETTINGS["decode"]["views"]["clips"].get("clips", 1),
        code=code_of("copies", "clipfold.clips.augment"),
    script:
        "../workflow/scripts/copies.py"
