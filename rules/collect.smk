# Models learn from all shards: naming all files in each fit would make a graph of a million edges for 100,000 videos.
for name, files in collections().items():

    rule:
        name:
            f"collect_{name}"
        input:
            **{kind: of_each_shard(file) for kind, file in files.items()},
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
            mem_mb=by_attempt(1000),
            runtime=by_attempt(10),
        params:
            kinds=list(files),
            code=code_of("collect", "clipfold.storage.files"),
        script:
            "../workflow/scripts/collect.py"
