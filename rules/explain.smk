for model in PLAN.explained:

    rule:
        name:
            f"explain_{model.name}"
        input:
            **weights_file(model.settings),
            **data_of(model, encoded=False),
            models=expand(f"results/models/{model.name}/fold-{{fold}}/{MODEL_FILE[model.input]}", fold=FOLDS),
            predictions=expand(f"results/models/{model.name}/fold-{{fold}}/predictions.parquet", fold=FOLDS),
            records=expand(f"results/models/{model.name}/fold-{{fold}}/fit.json", fold=FOLDS),
        output:
            f"results/explanations/{model.name}.parquet",
        log:
            f"logs/explain_{model.name}.log",
        benchmark:
            f"results/benchmarks/explain_{model.name}.tsv"
        conda:
            "../envs/train.yaml"
        threads: model.needs.threads
        resources:
            **on_gpu(min(1, model.needs.gpus)),
            mem_mb=by_attempt(RESOURCES[model.name].memory_mb),
            runtime=by_attempt(60),
        params:
            module=model.module,
            input=model.input,
            data=["clips", "index"] if model.input == "clips" else list(collection(model)[1]),
            settings=model.settings,
            shown=SETTINGS["explain"],
            stored_size=PLAN.size,
            seed=SETTINGS["seed"],
            code=code_of("explain", f"clipfold.explain.on_{model.input}", model.module),
        script:
            "../workflow/scripts/explain.py"
