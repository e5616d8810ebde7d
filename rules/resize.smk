rule resize:
    input:
        clips="results/{stored}/{shard}/clips.npy",
    output:
        "results/resized/{size}/{shard}/{stored}.npy",
    log:
        "logs/resize/{size}/{shard}/{stored}.log",
    benchmark:
        "results/benchmarks/resize/{size}/{shard}/{stored}.tsv"
    wildcard_constraints:
        stored="frames|augmented",
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
