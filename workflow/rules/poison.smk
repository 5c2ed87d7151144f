rule poison:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
    output:
        f"{POISONED}/poisoning.npz",
    log:
        f"{POISONED}/poison.log",
    priority: 1  # what is wrong with an attack is known before hours of training
    conda:
        ENVIRONMENT
    params:
        attack=spec("attacks", "attack"),
        code=code("poison", used("attacks", "attacks", "attack")),
    shell:
        with_warnings(
            "python -m fedsieve poison --data {input.data:q} --clients {input.clients:q}"
            " --attack {params.attack:q} --ratio {wildcards.ratio:q} --seed {wildcards.seed:q}"
            " --poisoning {output:q} > {log:q} 2>&1"
        )


rule warmup:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
        poisoning=f"{POISONED}/poisoning.npz",
    output:
        f"{POISONED}/encoder.safetensors",
    log:
        f"{POISONED}/warmup.log",
    benchmark:
        f"{POISONED}/warmup.benchmark.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=GPUS,
    params:
        task=parts("tasks", "task", "model", "local", "warmup"),
        code=code(
            "warmup",
            used("models", "tasks", "task", "model"),
            ("aggregators", lambda w: {"use": "fedavg"}),
        ),
    shell:
        "python -m fedsieve warmup --data {input.data:q} --clients {input.clients:q}"
        " --poisoning {input.poisoning:q} --task {params.task:q} --seed {wildcards.seed:q}"
        ' --label {wildcards.task:q} --encoder {output:q} --device "${{FEDSIEVE_DEVICE:-auto}}" --workers {threads}'
        " > {log:q} 2>&1"


for n, block in client_blocks():

    rule:
        name:
            on_block("features", n, block)
        input:
            data=f"{TASK}/data.npz",
            clients=f"{PARTITIONED}/clients.npz",
            poisoning=f"{POISONED}/poisoning.npz",
            encoder=f"{POISONED}/encoder.safetensors",
        output:
            each(VIEW, block),
        log:
            f"{POISONED}/features/{{layer}}/clients{block[0]}-{block[-1]}.log",
        wildcard_constraints:
            partition=partitions_of(n),
        group:
            group_of("features")
        conda:
            ENVIRONMENT
        resources:
            gpu=GPUS,
        params:
            client=list(block),
            model=spec("tasks", "task", "model"),
            code=code("features", used("models", "tasks", "task", "model")),
        shell:
            "python -m fedsieve features --data {input.data:q} --clients {input.clients:q}"
            " --poisoning {input.poisoning:q} --encoder {input.encoder:q} --model {params.model:q}"
            " --layer {wildcards.layer:q} --client {params.client:q} --view {output:q}"
            ' --device "${{FEDSIEVE_DEVICE:-auto}}" > {log:q} 2>&1'
