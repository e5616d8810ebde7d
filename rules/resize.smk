rule resize:
    input:
        clips="results/frames/{shard}/clips.npy",
    output:
        "results/resized/{size}/{shard}.npy",
    log:
        "logs/resize/{size}/{shard}.log",
    benchmark:
        "results/benchmarks/resize/{size}/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(60),
    params:
        code=code_of("resize", "clipfold.clips.resize"),
    script:
        "../workflow/scripts/resize.py"
