for key, settings in PLAN.encoders.items():

    rule:
        name:
            f"embed_{key}"
        input:
            unpack(embedded_at(settings["size"])),
            **weights_file(settings),
        output:
            embeddings=f"results/embedded/{key}/{{shard}}/{{stored}}.npy",
            facts=f"results/embedded/{key}/{{shard}}/{{stored}}.json",
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
            code=code_of("embed", "clipfold.models.embed", "clipfold.clips.augment", *modules_of(settings)),
        script:
            "../workflow/scripts/embed.py"

    # What the embeddings of the videos are as features; nobody asks for that of a network's encoder.
    rule:
        name:
            f"pool_{key}"
        input:
            embeddings=f"results/embedded/{key}/{{shard}}/frames.npy",
            facts=f"results/embedded/{key}/{{shard}}/frames.json",
            index="results/frames/{shard}/index.parquet",
        output:
            f"results/embedded/{key}/{{shard}}/features.parquet",
        log:
            f"logs/pool_{key}/{{shard}}.log",
        benchmark:
            f"results/benchmarks/pool_{key}/{{shard}}.tsv"
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
