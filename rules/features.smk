rule features:
    input:
        **{view: f"results/frames/{{shard}}/{view}.npy" for view in VIEWS},
        metadata="results/metadata/{shard}.parquet",
        index="results/frames/{shard}/index.parquet",
    output:
        "results/features/{shard}.parquet",
    log:
        "logs/features/{shard}.log",
    benchmark:
        "results/benchmarks/features/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(60),
    params:
        code=code_of("features", "clipfold.features.extract", *MODULES),
    script:
        "../workflow/scripts/features.py"
