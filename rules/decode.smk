rule decode:
    input:
        shard_addresses,
        metadata="results/metadata/{shard}.parquet",
    output:
        **{view: passing(f"results/frames/{{shard}}/{view}.npy", needed=view == "clips") for view in VIEWS},
        index="results/frames/{shard}/index.parquet",
    log:
        "logs/decode/{shard}.log",
    benchmark:
        "results/benchmarks/decode/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: DATA_THREADS
    resources:
        mem_mb=growing(1500),
        runtime=growing(120),
    params:
        views=list(VIEWS),
        settings=config["decode"],
        code=code_of("decode", "clipfold.video.decode_shard"),
    script:
        "../workflow/scripts/decode.py"
