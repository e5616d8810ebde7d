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


STORED = {
    "hashes": of_each_shard("results/hashes/{shard}/hashes.npy"),
    "pictures": of_each_shard("results/hashes/{shard}/pictures.npy"),
    "keypoints": of_each_shard("results/hashes/{shard}/keypoints.npy"),
    "clips": of_each_shard(f"results/frames/{{shard}}/{SEARCHED}.npy"),
    "indices": of_each_shard("results/frames/{shard}/index.parquet"),
}

if BLOCKS > 1:
    # Jobs that name the files of all shards for each block would make a graph of a million edges.
    KEYPOINTS = ("start", "lists", "place", "vocabulary")
    INDEX = {"videos": "results/hashes/index/videos.json"}
    INDEX |= {kind: f"results/hashes/index/{kind}.npy" for kind in KEYPOINTS}

    rule index_keypoints:
        input:
            **STORED,
        output:
            **INDEX,
        log:
            "logs/index_keypoints.log",
        benchmark:
            "results/benchmarks/index_keypoints.tsv"
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(2000),
            runtime=by_attempt(240),
        params:
            code=code_of("index_keypoints", "clipfold.leakage.blocks"),
        script:
            "../workflow/scripts/index_keypoints.py"

    rule search_pictures:
        input:
            **INDEX,
        output:
            backgrounds="results/hashes/found/{block}/backgrounds.parquet",
            parts="results/hashes/found/{block}/parts.parquet",
        log:
            "logs/search_pictures/{block}.log",
        benchmark:
            "results/benchmarks/search_pictures/{block}.tsv"
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(4000),
            runtime=by_attempt(240),
        params:
            blocks=BLOCKS,
            code=code_of("search_pictures", "clipfold.leakage.blocks"),
        script:
            "../workflow/scripts/search_pictures.py"

    rule join_recordings:
        input:
            **INDEX,
            backgrounds=expand(rules.search_pictures.output.backgrounds, block=range(BLOCKS)),
            parts=expand(rules.search_pictures.output.parts, block=range(BLOCKS)),
        output:
            known="results/hashes/found/pairs.parquet",
            common="results/hashes/found/common.npy",
        log:
            "logs/join_recordings.log",
        benchmark:
            "results/benchmarks/join_recordings.tsv"
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(4000),
            runtime=by_attempt(120),
        params:
            code=code_of("join_recordings", "clipfold.leakage.blocks"),
        script:
            "../workflow/scripts/join_recordings.py"

    rule search_frames:
        input:
            **INDEX,
            known="results/hashes/found/pairs.parquet",
            common="results/hashes/found/common.npy",
        output:
            "results/hashes/found/{block}/frames.parquet",
        log:
            "logs/search_frames/{block}.log",
        benchmark:
            "results/benchmarks/search_frames/{block}.tsv"
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(4000),
            runtime=by_attempt(240),
        params:
            blocks=BLOCKS,
            code=code_of("search_frames", "clipfold.leakage.blocks"),
        script:
            "../workflow/scripts/search_frames.py"

    rule matches:
        input:
            **INDEX,
            known="results/hashes/found/pairs.parquet",
            frames=expand(rules.search_frames.output[0], block=range(BLOCKS)),
            # Read by all these jobs: they are kept until the last has ended.
            clips=STORED["clips"],
        output:
            "results/splits/matches.parquet",
        log:
            "logs/matches.log",
        benchmark:
            "results/benchmarks/matches.tsv"
        conda:
            "../envs/decode.yaml"
        threads: 1
        resources:
            mem_mb=by_attempt(4000),
            runtime=by_attempt(120),
        params:
            code=code_of("join_matches", "clipfold.leakage.blocks"),
        script:
            "../workflow/scripts/join_matches.py"

else:

    rule matches:
        input:
            **STORED,
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
            mem_mb=by_attempt(2000),
            runtime=by_attempt(240),
        params:
            code=code_of("matches", "clipfold.leakage.matches"),
        script:
            "../workflow/scripts/matches.py"
