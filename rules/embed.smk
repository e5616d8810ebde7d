for key, settings in ENCODERS.items():

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
            mem_mb=growing(4000),
            gpu=1,
            runtime=growing(240),
        params:
            settings=settings,
            seed=config["seed"],
            code=code_of("embed", "clipfold.models.embed"),
        script:
            "../workflow/scripts/embed.py"
