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
        "python -m fedsieve train --data {input.data:q} --clients {input.clients:q}"
        " --poisoning {input.poisoning:q} --keep {input.keep:q} --task {params.task:q}"
        " --attack {params.attack:q} --defense {params.defense:q}"
        " --sanitizer {params.sanitizer:q} --ratio {wildcards.ratio:q} --seed {wildcards.seed:q}"
        " --code {params.code:q} --model {output.model:q} --predictions {output.predictions:q}"
        " --clients-log {output.clients_log:q} --kept {output.kept:q} --screened {output.screened:q}"
        " --snapshots {output.snapshots:q} --record {output.record:q}"
        ' --device "${{FEDSIEVE_DEVICE:-auto}}" --workers {threads} > {log:q} 2>&1'


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
        "python -m fedsieve client_times --data {input.data:q} --clients {input.clients:q}"
        " --task {params.task:q} --detector {params.detector:q} --seed {wildcards.seed:q}"
        ' --csv {output.csv:q} --md {output.md:q} --device "${{FEDSIEVE_DEVICE:-auto}}" > {log:q} 2>&1'


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
        "python -m fedsieve floor --data {input.data:q} --weights {input.weights:q}"
        " --predictions {input.predictions:q} --last-rounds {params.last_rounds:q}"
        " --attack {params.attack:q} --model {params.model:q} --floor {output:q}"
        ' --device "${{FEDSIEVE_DEVICE:-auto}}" > {log:q} 2>&1'


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
        "python -m fedsieve evaluate --data {input.data:q} --clients {input.clients:q}"
        " --poisoning {input.poisoning:q} --predictions {input.predictions:q}"
        " --clients-log {input.clients_log:q} --kept {input.kept:q}"
        " --screened {input.screened:q} --floor {input.floor:q}"
        " --attack {params.attack:q} --last-rounds {params.last_rounds:q}"
        " --rounds {output.rounds:q} --metrics-file {output.metrics:q}"
        " > {log:q} 2>&1"


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
        "python -m fedsieve screen --data {input.data:q} --clients {input.clients:q}"
        " --poisoning {input.poisoning:q} --snapshots {input.snapshots:q}"
        " --after-round {wildcards.after_round:q} --model {params.model:q}"
        " --detector {params.detector:q} --seed {wildcards.seed:q} --screened {output:q}"
        ' --device "${{FEDSIEVE_DEVICE:-auto}}" > {log:q} 2>&1'
