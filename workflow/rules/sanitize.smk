# The DAG shows the privacy boundary: clients see their own views and the server's broadcast,
# the server's job sees messages. None sees poisoning.npz; only the oracles do.


for n, block in client_blocks():

    rule:
        name:
            on_block("sanitize_client", n, block)
        input:
            view=block_views(block),
            broadcast=before(f"{EXCHANGE}/broadcast.npz"),
            remembered=before(*each(f"{EXCHANGE}/memory{{client}}.npz", block)),
        output:
            message=each(f"{EXCHANGE}/client{{client}}.npz", block),
            memory=each(f"{EXCHANGE}/memory{{client}}.npz", block),
        log:
            f"{EXCHANGE}/clients{block[0]}-{block[-1]}.log",
        wildcard_constraints:
            partition=partitions_of(n),
        group:
            group_of("sanitize_client")
        conda:
            ENVIRONMENT
        params:
            client=list(block),
            sanitizer=method("sanitizers", "sanitizer"),
            layers=seen_layers,
            code=code("sanitize_client", used("sanitizers", "sanitizers", "sanitizer")),
        shell:
            "python -m fedsieve sanitize_client --view {input.view:q} --layers {params.layers:q}"
            " --sanitizer {params.sanitizer:q} --client {params.client:q}"
            " --exchange {wildcards.exchange:q} --seed {wildcards.seed:q}"
            " --message {output.message:q} --memory {output.memory:q} --broadcast {input.broadcast:q}"
            " --remembered {input.remembered:q} > {log:q} 2>&1"


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
        "python -m fedsieve sanitize_server --messages {input.messages:q}"
        " --sanitizer {params.sanitizer:q} --exchange {wildcards.exchange:q}"
        " --seed {wildcards.seed:q} --broadcast {output.broadcast:q} --state {output.state:q}"
        " --remembered {input.remembered:q} > {log:q} 2>&1"


for n, block in client_blocks():

    rule:
        name:
            on_block("keep_client", n, block)
        input:
            view=block_views(block),
            broadcast=last(f"{EXCHANGE}/broadcast.npz"),
            memory=last(*each(f"{EXCHANGE}/memory{{client}}.npz", block)),
        output:
            each(f"{SANITIZED}/keep/client{{client}}.npz", block),
        log:
            f"{SANITIZED}/keep/clients{block[0]}-{block[-1]}.log",
        wildcard_constraints:
            partition=partitions_of(n),
        group:
            group_of("keep_client")
        conda:
            ENVIRONMENT
        params:
            client=list(block),
            sanitizer=method("sanitizers", "sanitizer"),
            layers=seen_layers,
            code=code("keep_client", used("sanitizers", "sanitizers", "sanitizer")),
        shell:
            "python -m fedsieve keep_client --view {input.view:q} --layers {params.layers:q}"
            " --broadcast {input.broadcast:q} --memory {input.memory:q}"
            " --sanitizer {params.sanitizer:q} --client {params.client:q}"
            " --keep {output:q} > {log:q} 2>&1"


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
        "python -m fedsieve keep --clients {input.clients:q} --masks {input.masks:q}"
        " --server {input.server:q} --keep {output:q} > {log:q} 2>&1"


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
        "python -m fedsieve oracle --clients {input.clients:q} --poisoning {input.poisoning:q}"
        " --oracle {params.oracle:q} --seed {wildcards.seed:q} --keep {output:q} > {log:q} 2>&1"
