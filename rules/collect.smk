# Models learn from all shards: each naming all files would make a graph of a million edges of a hundred thousand videos.
for name, files in COLLECTIONS.items():

    rule:
        name:
            f"collect_{name}"
        input:
            **{kind: expand(file, shard=SHARDS) for kind, file in files.items()},
        output:
            f"results/collections/{name}.json",
        log:
            f"logs/collect_{name}.log",
        benchmark:
            f"results/benchmarks/collect_{name}.tsv"
        localrule: True
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            kinds=list(files),
            code=code_of("collect", "clipfold.storage.files"),
        script:
            "../workflow/scripts/collect.py"
