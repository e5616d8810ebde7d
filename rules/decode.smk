rule decode:
    input:
        shard_addresses,
        metadata="results/metadata/{shard}.parquet",
    output:
        **{view: passing(f"results/frames/{{shard}}/{view}.npy", needed=view == "clips") for view in PLAN.views},
        index="results/frames/{shard}/index.parquet",
    log:
        "logs/decode/{shard}.log",
    benchmark:
        "results/benchmarks/decode/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: DATA_THREADS
    resources:
        mem_mb=by_attempt(1500),
        runtime=by_attempt(120),
    params:
        paths=current_paths,
        cache=current_cache,
        views=list(PLAN.views),
        settings=SETTINGS["decode"],
        regions=[repr(view.region) for view in PLAN.views.values()],  # with the content of the detector's file
        max_pixels=SETTINGS["probe"]["max_pixels"],
        code=code_of("decode", "clipfold.video.decode_shard"),
    script:
        "../workflow/scripts/decode.py"
