for key, settings in PLAN.encoders.items():

    rule:
        name:
            f"embed_{key}"
        input:
            unpack(embedded_at(settings["size"])),
            **weights_file(settings),
        output:
            embeddings=embedded(key, "{stored}"),
            facts=f"results/embedded/{key}/{{stored}}/{{group}}.facts.json",
        log:
            f"logs/embed_{key}/{{stored}}/{{group}}.log",
        benchmark:
            f"results/benchmarks/embed_{key}/{{stored}}/{{group}}.tsv"
        wildcard_constraints:
            stored="frames|augmented",
        conda:
            "../envs/train.yaml"
        threads: 4
        resources:
            **on_gpu(1),
            mem_mb=by_attempt(4000),
            runtime=by_attempt(240),
        params:
            arrays=lambda wildcards, output: in_group(str(Path(output.embeddings).with_name("{shard}.npy")))(wildcards),
            settings=settings,
            seed=SETTINGS["seed"],
            code=code_of("embed", "clipfold.models.embed", "clipfold.clips.augment", *modules_of(settings)),
        script:
            "../workflow/scripts/embed.py"

    # What the embeddings of the videos are as features; nobody asks for that of a network's encoder.
    rule:
        name:
            f"pool_{key}"
        input:
            embeddings=embedded(key, "frames"),
            facts=f"results/embedded/{key}/frames/{{group}}.facts.json",
            index=in_group("results/frames/{shard}/index.parquet"),
        output:
            f"results/embedded/{key}/features/{{group}}.parquet",
        log:
            f"logs/pool_{key}/{{group}}.log",
        benchmark:
            f"results/benchmarks/pool_{key}/{{group}}.tsv"
        conda:
            "../envs/train.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(1000),
            runtime=by_attempt(30),
        params:
            code=code_of("pool", "clipfold.features.embedding"),
        script:
            "../workflow/scripts/pool.py"
