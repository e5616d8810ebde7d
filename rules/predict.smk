# Predictions of new videos, those of `predict.manifest`.
rule predict:
    input:
        new_addresses,
        bundle=predicting_bundle(),
    output:
        "results/predictions/{new_shard}.parquet",
    log:
        "logs/predict/{new_shard}.log",
    benchmark:
        "results/benchmarks/predict/{new_shard}.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 2
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(240),
    params:
        paths=new_paths,
        contents=new_keys,
        segments=lambda wildcards: segments_of(PLAN.new_shards[wildcards.new_shard]),
        rates=lambda wildcards: rates_of(PLAN.new_shards[wildcards.new_shard]),
        code=code_of("predict", "clipfold.delivery.predict", *MODULES),
    script:
        "../workflow/scripts/predict.py"


rule predictions:
    input:
        bundle=predicting_bundle(),
        shards=expand("results/predictions/{new_shard}.parquet", new_shard=PLAN.new_shards),
    output:
        table="results/predictions/predictions.parquet",
        csv="results/predictions/predictions.csv",
        page="results/predictions/index.html",
        report="results/predictions/external.json",
    log:
        "logs/predictions.log",
    benchmark:
        "results/benchmarks/predictions.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(30),
    params:
        labels={v.id: v.label for v in PLAN.new_videos if v.label},
        groups={v.id: v.group for v in PLAN.new_videos if v.grouped or v.file},
        code=code_of("predictions", "clipfold.delivery.run"),
    script:
        "../workflow/scripts/predictions.py"
