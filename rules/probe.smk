rule probe:
    input:
        shard_files,
    output:
        "results/metadata/{shard}.parquet",
    log:
        "logs/probe/{shard}.log",
    benchmark:
        "results/benchmarks/probe/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: DATA_THREADS
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        videos=shard_rows,
        settings=config["probe"],
        code=code_of("probe", "clipfold.video.probe_shard"),
    script:
        "../workflow/scripts/probe.py"
