for key, settings in PLAN.encoders.items():

    rule:
        name:
            f"embed_{key}"
        input:
            **weights_file(settings),
            clips=clips_at(settings["size"], "{stored}"),
        output:
            f"results/embedded/{key}/{{shard}}/{{stored}}.npy",
        log:
            f"logs/embed_{key}/{{shard}}/{{stored}}.log",
        benchmark:
            f"results/benchmarks/embed_{key}/{{shard}}/{{stored}}.tsv"
        wildcard_constraints:
            stored="frames|augmented",
        conda:
            "../envs/train.yaml"
        threads: 2
        resources:
            **on_gpu(1),
            mem_mb=by_attempt(4000),
            runtime=by_attempt(240),
        params:
            settings=settings,
            seed=SETTINGS["seed"],
            code=code_of("embed", "clipfold.models.embed"),
        script:
            "../workflow/scripts/embed.py"
