# A trained model with all that it needs to answer elsewhere; `best` is known only when all are compared.
rule bundle:
    input:
        unpack(bundled_fits),
        comparison=rules.evaluate.output.comparison,
        metrics=rules.evaluate.output.metrics,
        choices=rules.evaluate.output.choices,
        predictions=rules.evaluate.output.predictions,
        splits="results/splits/splits.parquet",
        audit=rules.splits.output.audit,
        metadata=metadata(),
        clips=frames("clips.npy"),
        index=frames("index.parquet"),
        features=of_each_shard("results/features/{shard}.parquet") if PLAN.table else [],
    output:
        bundle="results/bundles/{bundle}/bundle.clipfold",
        card="results/bundles/{bundle}/README.md",
    log:
        "logs/bundle/{bundle}.log",
    benchmark:
        "results/benchmarks/bundle/{bundle}.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(3000),
        runtime=by_attempt(60),
    params:
        models=lambda wildcards: [model.name for model in bundled(wildcards.bundle)],
        final=PLAN.config.bundle.final,
        settings={name: SETTINGS[name] for name in ("modality", "probe", "policy", "decode")},
        labels=lambda wildcards: PLAN.labels_digest,
        table=PLAN.table_facts,
        positive=PLAN.positive,
        code=code_of("bundle", "clipfold.delivery.write"),
    script:
        "../workflow/scripts/bundle.py"
