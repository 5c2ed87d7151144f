TRAINING_KEYS = [
    "model",
    "local",
    "rounds",
    "cohort",
    "sampling",
    "tested_every",
    "local_accuracy",
    "snapshots",
]
"""Keys of a task that training depends on."""


rule train:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
        poisoning=f"{POISONED}/poisoning.npz",
        keep=kept_samples,
    output:
        model=f"{SCENARIO}/model.safetensors",
        predictions=f"{SCENARIO}/predictions.npz",
        clients_log=f"{SCENARIO}/clients.csv",
        kept=f"{SCENARIO}/kept.npz",
        screened=f"{SCENARIO}/screened.npz",
        snapshots=f"{SCENARIO}/snapshots.safetensors",
        record=f"{SCENARIO}/run.json",
    log:
        f"{SCENARIO}/train.log",
    benchmark:
        f"{SCENARIO}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=240,
    params:
        task=parts("tasks", "task", *TRAINING_KEYS),
        attack=spec("attacks", "attack"),
        defense=spec("defenses", "defense"),
        sanitizer=in_training_spec,
        code=training_code,
    shell:
        "python -m fedsieve train --data {input.data} --clients {input.clients}"
        " --poisoning {input.poisoning} --keep {input.keep} --task {params.task:q}"
        " --attack {params.attack:q} --defense {params.defense:q}"
        " --sanitizer {params.sanitizer:q} --ratio {wildcards.ratio} --seed {wildcards.seed}"
        " --code {params.code} --model {output.model} --predictions {output.predictions}"
        " --clients-log {output.clients_log} --kept {output.kept} --screened {output.screened}"
        " --snapshots {output.snapshots} --record {output.record}"
        " --device ${{FEDSIEVE_DEVICE:-auto}} --workers {threads} > {log} 2>&1"


rule client_times:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
    output:
        csv=f"{PARTITIONED}/client-times-{{defense}}.csv",
        md=f"{PARTITIONED}/client-times-{{defense}}.md",
    log:
        f"{PARTITIONED}/client-times-{{defense}}.log",
    wildcard_constraints:
        defense=labels("defenses", "detect"),
    conda:
        ENVIRONMENT
    resources:
        gpu=GPUS,
    params:
        task=parts("tasks", "task", "model", "local"),
        detector=lambda w: json.dumps(
            settings.plugin_spec("detectors", entry("defenses", w.defense, "detect")),
            sort_keys=True,
        ),
        code=code(
            "client_times",
            used("models", "tasks", "task", "model"),
            used("detectors", "defenses", "defense", "detect"),
        ),
    shell:
        "python -m fedsieve client_times --data {input.data} --clients {input.clients}"
        " --task {params.task:q} --detector {params.detector:q} --seed {wildcards.seed}"
        " --csv {output.csv} --md {output.md} --device ${{FEDSIEVE_DEVICE:-auto}} > {log} 2>&1"


rule floor:
    input:
        data=f"{TASK}/data.npz",
        weights=f"{UNDEFENDED}/model.safetensors",
        predictions=f"{UNDEFENDED}/predictions.npz",
    output:
        f"{PARTITIONED}/{{attack}}/floor.json",
    log:
        f"{PARTITIONED}/{{attack}}/floor.log",
    conda:
        ENVIRONMENT
    resources:
        gpu=GPUS,
    params:
        attack=spec("attacks", "attack"),
        model=spec("tasks", "task", "model"),
        last_rounds=last_rounds,
        code=code(
            "floor",
            used("models", "tasks", "task", "model"),
            used("attacks", "attacks", "attack"),
        ),
    shell:
        "python -m fedsieve floor --data {input.data} --weights {input.weights}"
        " --predictions {input.predictions} --last-rounds {params.last_rounds} --attack {params.attack:q} --model {params.model:q} --floor {output}"
        " --device ${{FEDSIEVE_DEVICE:-auto}} > {log} 2>&1"


rule evaluate:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
        poisoning=f"{POISONED}/poisoning.npz",
        predictions=f"{SCENARIO}/predictions.npz",
        clients_log=f"{SCENARIO}/clients.csv",
        kept=f"{SCENARIO}/kept.npz",
        screened=f"{SCENARIO}/screened.npz",
        floor=f"{PARTITIONED}/{{attack}}/floor.json",
    output:
        rounds=f"{SCENARIO}/rounds.csv",
        metrics=f"{SCENARIO}/metrics.json",
    log:
        f"{SCENARIO}/evaluate.log",
    conda:
        ENVIRONMENT
    params:
        attack=spec("attacks", "attack"),
        last_rounds=last_rounds,
        code=code("evaluate", used("attacks", "attacks", "attack")),
    shell:
        "python -m fedsieve evaluate --data {input.data} --clients {input.clients}"
        " --poisoning {input.poisoning} --predictions {input.predictions}"
        " --clients-log {input.clients_log} --kept {input.kept} --screened {input.screened} --floor {input.floor}"
        " --attack {params.attack:q} --last-rounds {params.last_rounds}"
        " --rounds {output.rounds} --metrics-file {output.metrics}"
        " > {log} 2>&1"


rule screen:
    input:
        data=f"{TASK}/data.npz",
        clients=f"{PARTITIONED}/clients.npz",
        poisoning=f"{POISONED}/poisoning.npz",
        snapshots=judging_model,
    output:
        SCREENED,
    log:
        SCREENED.replace(".npz", ".log"),
    conda:
        ENVIRONMENT
    resources:
        gpu=GPUS,
    params:
        model=spec("tasks", "task", "model"),
        detector=lambda w: json.dumps(
            settings.plugin_spec("detectors", entry("detections", w.detection)),
            sort_keys=True,
        ),
        code=code(
            "screen",
            used("models", "tasks", "task", "model"),
            used("detectors", "detections", "detection"),
        ),
    shell:
        "python -m fedsieve screen --data {input.data} --clients {input.clients}"
        " --poisoning {input.poisoning} --snapshots {input.snapshots}"
        " --after-round {wildcards.after_round} --model {params.model:q}"
        " --detector {params.detector:q} --seed {wildcards.seed} --screened {output}"
        " --device ${{FEDSIEVE_DEVICE:-auto}} > {log} 2>&1"
