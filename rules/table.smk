# A table enters here: its columns are the features, and the table of rows stands for what probing and decoding find.
rule table:
    output:
        "results/features/{shard}.parquet",
    log:
        "logs/table/{shard}.log",
    benchmark:
        "results/benchmarks/table/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(30),
    params:
        manifest=current_manifest,
        columns=PLAN.columns,
        kinds=dict(PLAN.table.columns),
        ids=lambda wildcards: [row.id for row in PLAN.shards[wildcards.shard]],
        digest=lambda wildcards: PLAN.table.digest(row.id for row in PLAN.shards[wildcards.shard]),
        code=code_of("table", "clipfold.table.rows"),
    script:
        "../workflow/scripts/table.py"


rule equal_rows:
    input:
        of_each_shard("results/features/{shard}.parquet"),
    output:
        rows="results/metadata/rows.parquet",
        matches="results/splits/matches.parquet",
    log:
        "logs/equal_rows.log",
    benchmark:
        "results/benchmarks/equal_rows.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(60),
    params:
        code=code_of("equal_rows", "clipfold.table.equal"),
    script:
        "../workflow/scripts/equal_rows.py"


rule predictions:
    input:
        bundle=predicting_bundle(),
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
        manifest=new_manifest,
        contents=file_digest(PLAN.new_manifest) if PLAN.new_manifest else "",
        code=code_of("predictions", "clipfold.delivery.run"),
    script:
        "../workflow/scripts/predictions.py"
