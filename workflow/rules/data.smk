rule fetch:
    output:
        f"{TASK}/source.json",
    log:
        f"{TASK}/fetch.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        dataset=spec("tasks", "task", "dataset"),
        contents=own_files,
        code=code("fetch", used("datasets", "tasks", "task", "dataset")),
    shell:
        "python -m fedsieve fetch --dataset {params.dataset:q}"
        ' --root "${{FEDSIEVE_DATA:-results/raw}}"'
        " --receipt {output:q} > {log:q} 2>&1"


rule data:
    input:
        f"{TASK}/source.json",
    output:
        f"{TASK}/data.npz",
    log:
        f"{TASK}/data.log",
    conda:
        ENVIRONMENT
    params:
        dataset=spec("tasks", "task", "dataset"),
        max_samples=lambda w: entry("tasks", w.task).get("max_samples", 0),
        code=code("data", used("datasets", "tasks", "task", "dataset")),
    shell:
        with_warnings(
            "python -m fedsieve data --dataset {params.dataset:q}"
            ' --root "${{FEDSIEVE_DATA:-results/raw}}"'
            " --receipt {input:q} --max-samples {params.max_samples:q} --label {wildcards.task:q}"
            " --data {output:q} > {log:q} 2>&1"
        )


rule partition:
    input:
        f"{TASK}/data.npz",
    output:
        f"{PARTITIONED}/clients.npz",
    log:
        f"{PARTITIONED}/partition.log",
    conda:
        ENVIRONMENT
    params:
        partition=method("partitions", "partition"),
        n_clients=n_clients,
        code=code("partition", used("partitions", "partitions", "partition")),
    shell:
        "python -m fedsieve partition --data {input:q} --partition {params.partition:q}"
        " --n-clients {params.n_clients:q} --seed {wildcards.seed:q} --clients {output:q}"
        " > {log:q} 2>&1"
