rule hashes:
    input:
        clips=f"results/frames/{{shard}}/{SEARCHED}.npy",
        index="results/frames/{shard}/index.parquet",
    output:
        hashes="results/hashes/{shard}/hashes.npy",
        pictures="results/hashes/{shard}/pictures.npy",
        keypoints="results/hashes/{shard}/keypoints.npy",
    log:
        "logs/hashes/{shard}.log",
    benchmark:
        "results/benchmarks/hashes/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(30),
    params:
        code=code_of("hashes", "clipfold.leakage.hash_shard"),
    script:
        "../workflow/scripts/hashes.py"


rule matches:
    input:
        hashes=of_each_shard("results/hashes/{shard}/hashes.npy"),
        pictures=of_each_shard("results/hashes/{shard}/pictures.npy"),
        keypoints=of_each_shard("results/hashes/{shard}/keypoints.npy"),
        clips=of_each_shard(f"results/frames/{{shard}}/{SEARCHED}.npy"),
        indices=of_each_shard("results/frames/{shard}/index.parquet"),
    output:
        "results/splits/matches.parquet",
    log:
        "logs/matches.log",
    benchmark:
        "results/benchmarks/matches.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 4
    resources:
        mem_mb=by_attempt(2000 + len(PLAN.videos) // 30),
        runtime=by_attempt(240),
    params:
        code=code_of("matches", "clipfold.leakage.matches"),
    script:
        "../workflow/scripts/matches.py"
