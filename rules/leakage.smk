rule signatures:
    input:
        clips="results/frames/{shard}/clips.npy",
        index="results/frames/{shard}/index.parquet",
    output:
        hashes="results/signatures/{shard}/hashes.npy",
        pictures="results/signatures/{shard}/pictures.npy",
    log:
        "logs/signatures/{shard}.log",
    benchmark:
        "results/benchmarks/signatures/{shard}.tsv"
    conda:
        "../envs/decode.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=code_of("signatures", "clipfold.leakage.hashes"),
    script:
        "../workflow/scripts/signatures.py"


rule matches:
    input:
        hashes=expand("results/signatures/{shard}/hashes.npy", shard=SHARDS),
        pictures=expand("results/signatures/{shard}/pictures.npy", shard=SHARDS),
        indices=expand("results/frames/{shard}/index.parquet", shard=SHARDS),
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
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        code=code_of("matches", "clipfold.leakage.matches"),
    script:
        "../workflow/scripts/matches.py"


rule audit:
    input:
        audit="results/splits/audit.json",
        dealt="results/splits/dealt.parquet",
        matches="results/splits/matches.parquet",
        clips=expand("results/frames/{shard}/clips.npy", shard=SHARDS),
        indices=expand("results/frames/{shard}/index.parquet", shard=SHARDS),
    output:
        report(
            "results/splits/audit.html",
            caption="../workflow/report/audit.rst",
            category="Leakage audit",
        ),
    log:
        "logs/audit.log",
    benchmark:
        "results/benchmarks/audit.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_of("audit", "clipfold.leakage.page", f"{SOURCE}/clipfold/leakage/page.html"),
    script:
        "../workflow/scripts/audit.py"


# A rule of its own, and not the end of `splits`: of a job that fails, the page that shows why would be deleted.
rule gate:
    input:
        dealt="results/splits/dealt.parquet",
        audit="results/splits/audit.json",
        page=ancient("results/splits/audit.html"),
    output:
        "results/splits/splits.parquet",
    log:
        "logs/gate.log",
    benchmark:
        "results/benchmarks/gate.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("gate", "clipfold.leakage.check"),
    script:
        "../workflow/scripts/gate.py"
