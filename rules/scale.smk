rule scale:
    input:
        clips="results/{stored}/{shard}/clips.npy",
    output:
        "results/scaled/{size}/{shard}/{stored}.npy",
    log:
        "logs/scale/{size}/{shard}/{stored}.log",
    benchmark:
        "results/benchmarks/scale/{size}/{shard}/{stored}.tsv"
    wildcard_constraints:
        stored="frames|augmented",
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        code=code_of("scale", "clipfold.clips.resize"),
    script:
        "../workflow/scripts/scale.py"
