# Predictions of new videos, the table in `predict.manifest`.
rule predict:
    input:
        new_addresses,
        bundle=PREDICT_BUNDLE,
    output:
        "results/predictions/shards/{new_shard}.parquet",
    log:
        "logs/predict/{new_shard}.log",
    benchmark:
        "results/benchmarks/predict/{new_shard}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 4
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(240),
    params:
        paths=new_paths,
        contents=new_contents,
        code=code_of("predict", "clipfold.delivery.predict"),
    script:
        "../workflow/scripts/predict.py"


rule predictions:
    input:
        shards=expand("results/predictions/shards/{new_shard}.parquet", new_shard=list(PLAN.new_shards)),
        bundle=PREDICT_BUNDLE,
    output:
        table="results/predictions/predictions.parquet",
        csv="results/predictions/predictions.csv",
        page="results/predictions/index.html",
    log:
        "logs/predictions.log",
    benchmark:
        "results/benchmarks/predictions.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(30),
    params:
        manifest=new_manifest,
        columns=SETTINGS["columns"],
        labels=lambda wildcards: PLAN.new_labels_digest,
        code=code_of("predictions", "clipfold.delivery.answers"),
    script:
        "../workflow/scripts/predictions.py"
