for model in PLAN.models:
    if model in PLAN.light_shortcuts:
        continue

    rule:
        name:
            f"train_{model.name}"
        input:
            **training_data(model),
            **weights_file(model.settings),
            splits="results/splits/splits.parquet",
        output:
            model=f"results/models/{model.name}/fold-{{fold}}/{MODEL_FILE[model.input]}",
            history=f"results/models/{model.name}/fold-{{fold}}/history.csv",
            predictions=f"results/models/{model.name}/fold-{{fold}}/predictions.parquet",
            record=f"results/models/{model.name}/fold-{{fold}}/fit.json",
        log:
            f"logs/train_{model.name}/fold-{{fold}}.log",
        benchmark:
            f"results/benchmarks/train_{model.name}/fold-{{fold}}.tsv"
        conda:
            "../envs/train.yaml"
        threads: model.needs.threads
        resources:
            **on_gpu(model.needs.gpus, model.needs.fits_per_gpu),
            mem_mb=by_attempt(RESOURCES[model.name].memory_mb),
            runtime=by_attempt(RESOURCES[model.name].runtime),
        params:
            module=model.module,
            input=model.input,
            data=["predictions"] if model.input == "predictions" else list(collection(model)[1]),
            settings=model.settings,
            views=views_of(model),
            scratch=f"results/training/{model.name}/fold-{{fold}}",
            stored_size=PLAN.size,
            seed=SETTINGS["seed"],
            code=code_of("train", f"clipfold.training.on_{model.input}", model.module),
        script:
            "../workflow/scripts/train.py"


# A shortcut is fitted in less time than a job takes to start: one job fits all of them on a fold.
if PLAN.light_shortcuts:

    rule train_shortcuts:
        input:
            **data_of(PLAN.light_shortcuts[0]),
            splits="results/splits/splits.parquet",
        output:
            model=of_shortcuts(MODEL_FILE["features"]),
            history=of_shortcuts("history.csv"),
            predictions=of_shortcuts("predictions.parquet"),
            record=of_shortcuts("fit.json"),
        log:
            "logs/train_shortcuts/fold-{fold}.log",
        benchmark:
            "results/benchmarks/train_shortcuts/fold-{fold}.tsv"
        conda:
            "../envs/train.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(max(RESOURCES[model.name].memory_mb for model in PLAN.light_shortcuts)),
            runtime=by_attempt(max(RESOURCES[model.name].runtime for model in PLAN.light_shortcuts)),
        params:
            module=PLAN.light_shortcuts[0].module,
            settings={model.name: model.settings for model in PLAN.light_shortcuts},
            views=views_of(PLAN.light_shortcuts[0]),
            stored_size=PLAN.size,
            seed=SETTINGS["seed"],
            code=code_of("train_shortcuts", "clipfold.training.on_features", PLAN.light_shortcuts[0].module),
        script:
            "../workflow/scripts/train_shortcuts.py"


# One model on all data, made where a bundle asks for it or its files are named. Nothing that a test split had a part in
# is an input: records and histories hold what was chosen on validation videos.
for model in PLAN.configured:

    rule:
        name:
            f"final_{model.name}"
        input:
            **final_data(model),
            **weights_file(model.settings),
            splits="results/splits/splits.parquet",
            records=expand(f"results/models/{model.name}/fold-{{fold}}/fit.json", fold=FOLDS),
            histories=expand(f"results/models/{model.name}/fold-{{fold}}/history.csv", fold=FOLDS),
        output:
            model=f"results/models/{model.name}/final/{MODEL_FILE[model.input]}",
            history=f"results/models/{model.name}/final/history.csv",
            record=f"results/models/{model.name}/final/fit.json",
        log:
            f"logs/final_{model.name}.log",
        benchmark:
            f"results/benchmarks/final_{model.name}.tsv"
        conda:
            "../envs/train.yaml"
        threads: model.needs.threads
        resources:
            **on_gpu(model.needs.gpus, model.needs.fits_per_gpu),
            mem_mb=by_attempt(RESOURCES[model.name].memory_mb),
            runtime=by_attempt(2 * RESOURCES[model.name].runtime),  # more videos than any fold trains on
        params:
            module=model.module,
            input=model.input,
            data=[] if model.input == "predictions" else list(collection(model)[1]),
            settings=model.settings,
            views=views_of(model),
            scratch=f"results/training/{model.name}/final",
            stored_size=PLAN.size,
            seed=SETTINGS["seed"],
            code=code_of("final", f"clipfold.training.final_on_{model.input}", model.module),
        script:
            "../workflow/scripts/final.py"
