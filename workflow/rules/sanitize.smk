# The DAG shows the privacy boundary: a client's jobs see its own view and the server's broadcast,
# the server's job sees messages. None sees poisoning.npz; only the oracles do.


rule sanitize_client:
    input:
        view=client_view,
        broadcast=before(f"{EXCHANGE}/broadcast.npz"),
        remembered=before(f"{EXCHANGE}/memory{{client}}.npz"),
    output:
        message=f"{EXCHANGE}/client{{client}}.npz",
        memory=f"{EXCHANGE}/memory{{client}}.npz",
    log:
        f"{EXCHANGE}/client{{client}}.log",
    conda:
        ENVIRONMENT
    params:
        sanitizer=method("sanitizers", "sanitizer"),
        layers=seen_layers,
        code=code("sanitize_client", used("sanitizers", "sanitizers", "sanitizer")),
    shell:
        "python -m fedsieve sanitize_client --view {input.view} --layers {params.layers}"
        " --sanitizer {params.sanitizer:q} --client {wildcards.client} --exchange {wildcards.exchange} --seed {wildcards.seed}"
        " --message {output.message} --memory {output.memory} --broadcast {input.broadcast}"
        " --remembered {input.remembered} > {log} 2>&1"


rule sanitize_server:
    input:
        messages=every_client(f"{EXCHANGE}/client{{client}}.npz"),
        remembered=before(f"{EXCHANGE}/server.npz"),
    output:
        broadcast=f"{EXCHANGE}/broadcast.npz",
        state=f"{EXCHANGE}/server.npz",
    log:
        f"{EXCHANGE}/server.log",
    conda:
        ENVIRONMENT
    params:
        sanitizer=method("sanitizers", "sanitizer"),
        code=code("sanitize_server", used("sanitizers", "sanitizers", "sanitizer")),
    shell:
        "python -m fedsieve sanitize_server --messages {input.messages}"
        " --sanitizer {params.sanitizer:q} --exchange {wildcards.exchange}"
        " --seed {wildcards.seed} --broadcast {output.broadcast} --state {output.state}"
        " --remembered {input.remembered} > {log} 2>&1"


rule keep_client:
    input:
        view=client_view,
        broadcast=last(f"{EXCHANGE}/broadcast.npz"),
        memory=last(f"{EXCHANGE}/memory{{client}}.npz"),
    output:
        f"{SANITIZED}/keep/client{{client}}.npz",
    log:
        f"{SANITIZED}/keep/client{{client}}.log",
    conda:
        ENVIRONMENT
    params:
        sanitizer=method("sanitizers", "sanitizer"),
        layers=seen_layers,
        code=code("keep_client", used("sanitizers", "sanitizers", "sanitizer")),
    shell:
        "python -m fedsieve keep_client --view {input.view} --layers {params.layers}"
        " --broadcast {input.broadcast} --memory {input.memory} --sanitizer {params.sanitizer:q} --client {wildcards.client}"
        " --keep {output} > {log} 2>&1"


rule keep:
    input:
        clients=f"{PARTITIONED}/clients.npz",
        masks=every_client(f"{SANITIZED}/keep/client{{client}}.npz"),
        server=last(f"{EXCHANGE}/server.npz"),
    output:
        f"{SANITIZED}/keep.npz",
    log:
        f"{SANITIZED}/keep.log",
    conda:
        ENVIRONMENT
    params:
        code=code("keep"),
    shell:
        "python -m fedsieve keep --clients {input.clients} --masks {input.masks}"
        " --server {input.server} --keep {output} > {log} 2>&1"


rule oracle:
    input:
        clients=f"{PARTITIONED}/clients.npz",
        poisoning=f"{POISONED}/poisoning.npz",
    output:
        f"{POISONED}/sanitize/{{oracle}}/keep.npz",
    log:
        f"{POISONED}/sanitize/{{oracle}}/keep.log",
    wildcard_constraints:
        oracle=labels("sanitizers", "oracle"),
    conda:
        ENVIRONMENT
    params:
        oracle=lambda w: entry("sanitizers", w.oracle, "oracle"),
        code=code("oracle"),
    shell:
        "python -m fedsieve oracle --clients {input.clients} --poisoning {input.poisoning}"
        " --oracle {params.oracle} --seed {wildcards.seed} --keep {output} > {log} 2>&1"
