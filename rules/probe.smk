rule probe:
    input:
        shard_addresses,
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
        mem_mb=by_attempt(1000),
        runtime=by_attempt(30),
    params:
        paths=current_paths,
        content=shard_keys,
        segments=shard_segments,
        record="results/contents/{shard}.json",
        settings=SETTINGS["probe"],
        modality=PLAN.config.modality,
        rates=shard_rates,
        code=code_of("probe", "clipfold.video.probe_shard"),
    script:
        "../workflow/scripts/probe.py"
