rule table:
    input:
        scenario_files("metrics.json"),
    output:
        csv="results/tables/{grid}.csv",
        md="results/tables/{grid}.md",
        tex="results/tables/{grid}.tex",
        html=report(
            "results/tables/{grid}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"grid": "{grid}", "table": "accuracy, attack success, sanitizing"},
        ),
        txt="results/tables/{grid}.txt",
    log:
        "results/tables/{grid}.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        files=filled(f"{SCENARIO}/metrics.json"),
        order=label_order,
        marks=defense_marks,
        code=code("table"),
    shell:
        "python -m fedsieve table --grid {params.grid:q} --files {params.files:q}"
        " --order {params.order:q} --marks {params.marks:q} --csv {output.csv:q}"
        " --md {output.md:q} --tex {output.tex:q} --html {output.html:q} --txt {output.txt:q}"
        " > {log:q} 2>&1"


rule values:
    input:
        metrics=scenario_files("metrics.json"),
        records=scenario_files("run.json"),
    output:
        "results/tables/{grid}-values.csv",
    log:
        "results/tables/{grid}-values.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        metrics=filled(f"{SCENARIO}/metrics.json"),
        records=filled(f"{SCENARIO}/run.json"),
        code=code("values"),
    shell:
        "python -m fedsieve values --grid {params.grid:q} --metrics {params.metrics:q}"
        " --records {params.records:q} --csv {output:q} > {log:q} 2>&1"


rule screenings:
    input:
        screening_files,
        screening_truths,
    output:
        csv="results/tables/{grid}-screenings.csv",
        md="results/tables/{grid}-screenings.md",
        html=report(
            "results/tables/{grid}-screenings.html",
            caption="../report/screenings.rst",
            category="Tables",
            labels={"grid": "{grid}", "table": "detection of malicious clients"},
        ),
    log:
        "results/tables/{grid}-screenings.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        files=filled(SCREENED),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        partitions=filled(f"{PARTITIONED}/clients.npz"),
        order=label_order,
        code=code("screenings"),
    shell:
        "python -m fedsieve screenings --grid {params.grid:q} --files {params.files:q}"
        " --poisonings {params.poisonings:q} --partitions {params.partitions:q}"
        " --order {params.order:q} --csv {output.csv:q} --md {output.md:q} --html {output.html:q}"
        " > {log:q} 2>&1"


rule ledger:
    input:
        expand("results/tables/{grid}-values.csv", grid=claimed_grids()),
    output:
        csv="results/claims.csv",
        md="results/claims.md",
        html=report(
            "results/claims.html",
            caption="../report/ledger.rst",
            category="Claims",
            labels={"table": "what the papers say, and what was measured"},
        ),
    log:
        "results/claims.log",
    conda:
        ENVIRONMENT
    params:
        claims=lambda w: json.dumps(config["claims"], sort_keys=False),
        margins=lambda w: json.dumps(config["margins"], sort_keys=True),
        code=code("ledger"),
    shell:
        "python -m fedsieve ledger --claims {params.claims:q} --margins {params.margins:q}"
        " --values {input:q} --csv {output.csv:q} --md {output.md:q} --html {output.html:q}"
        " > {log:q} 2>&1"


rule curves:
    input:
        scenario_files("rounds.csv"),
    output:
        png=report(
            "results/figures/{grid}/{curves}.png",
            caption="../report/curves.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "{curves} over the rounds"},
        ),
        pdf="results/figures/{grid}/{curves}.pdf",
    log:
        "results/figures/{grid}/{curves}.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        files=filled(f"{SCENARIO}/rounds.csv"),
        order=label_order,
        columns=lambda w: CURVES[w.curves],
        code=code("curves"),
    shell:
        "python -m fedsieve curves --grid {params.grid:q} --files {params.files:q}"
        " --order {params.order:q} --columns {params.columns:q} --figures {output:q}"
        " > {log:q} 2>&1"


rule sanitization_bars:
    input:
        "results/tables/{grid}-values.csv",
    output:
        png=report(
            "results/figures/{grid}/sanitization.png",
            caption="../report/sanitization.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "poison found and clean samples lost"},
        ),
        pdf="results/figures/{grid}/sanitization.pdf",
    log:
        "results/figures/{grid}/sanitization.log",
    conda:
        ENVIRONMENT
    params:
        order=label_order,
        code=code("sanitization_bars"),
    shell:
        "python -m fedsieve sanitization_bars --values {input:q} --order {params.order:q}"
        " --figures {output:q} > {log:q} 2>&1"


rule caught:
    input:
        data=lambda w: f"{TASK}/data.npz".format(task=removing_grid(w)["task"][0]),
        kept=removing_files(f"{SCENARIO}/kept.npz"),
        poisonings=removing_files(f"{POISONED}/poisoning.npz"),
    output:
        png=report(
            "results/figures/{grid}/caught.png",
            caption="../report/caught.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "samples caught, missed and lost"},
        ),
        pdf="results/figures/{grid}/caught.pdf",
    log:
        "results/figures/{grid}/caught.log",
    conda:
        ENVIRONMENT
    params:
        grid=lambda w: json.dumps(removing_grid(w), sort_keys=True),
        kept=filled(f"{SCENARIO}/kept.npz"),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        code=code("caught"),
    shell:
        "python -m fedsieve caught --grid {params.grid:q} --data {input.data:q}"
        " --kept {params.kept:q} --poisonings {params.poisonings:q} --figures {output:q}"
        " > {log:q} 2>&1"


rule feature_space:
    input:
        poisonings=drawn(f"{POISONED}/poisoning.npz"),
        clients=drawn(f"{PARTITIONED}/clients.npz"),
        keeps=drawn(f"{SANITIZED}/keep.npz"),
        views=drawn(VIEW),
    output:
        png=report(
            "results/figures/{grid}/features-{sanitizer}.png",
            caption="../report/features.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "feature space, {sanitizer}"},
        ),
        pdf="results/figures/{grid}/features-{sanitizer}.pdf",
    log:
        "results/figures/{grid}/features-{sanitizer}.log",
    conda:
        ENVIRONMENT
    params:
        attacks=lambda w: [s["attack"] for s in drawn_scenarios(w)],
        code=code("feature_space"),
    shell:
        "python -m fedsieve feature_space --attacks {params.attacks:q}"
        " --poisonings {input.poisonings:q} --clients {input.clients:q} --keeps {input.keeps:q}"
        " --views {input.views:q} --figures {output:q} > {log:q} 2>&1"


rule success_bars:
    input:
        "results/tables/{grid}-values.csv",
    output:
        png=report(
            "results/figures/{grid}/success.png",
            caption="../report/success.rst",
            category="Figures",
            labels={
                "grid": "{grid}",
                "figure": "accuracy and attack success at the end",
            },
        ),
        pdf="results/figures/{grid}/success.pdf",
    log:
        "results/figures/{grid}/success.log",
    conda:
        ENVIRONMENT
    params:
        order=label_order,
        code=code("success_bars"),
    shell:
        "python -m fedsieve success_bars --values {input:q} --order {params.order:q}"
        " --figures {output:q} > {log:q} 2>&1"


rule boundary:
    input:
        "results/tables/{grid}-values.csv",
    output:
        png=report(
            "results/figures/{grid}/boundary.png",
            caption="../report/boundary.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "where a label flip begins to win"},
        ),
        pdf="results/figures/{grid}/boundary.pdf",
    log:
        "results/figures/{grid}/boundary.log",
    conda:
        ENVIRONMENT
    params:
        shares=lambda w: json.dumps(flipped_shares(w.grid), sort_keys=True),
        order=label_order,
        n_clients=lambda w: entry(
            "partitions", config["grids"][w.grid]["partition"][0], "n_clients"
        ),
        code=code("boundary"),
    shell:
        "python -m fedsieve boundary --values {input:q} --shares {params.shares:q}"
        " --order {params.order:q} --n-clients {params.n_clients:q} --figures {output:q}"
        " > {log:q} 2>&1"


rule batch_times:
    input:
        clients_logs=scenario_files("clients.csv"),
        records=scenario_files("run.json"),
    output:
        png=report(
            "results/figures/{grid}/batch_times.png",
            caption="../report/batch_times.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "time per batch in training"},
        ),
        pdf="results/figures/{grid}/batch_times.pdf",
        csv="results/tables/{grid}-batch-times.csv",
    log:
        "results/figures/{grid}/batch_times.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        clients_logs=filled(f"{SCENARIO}/clients.csv"),
        records=filled(f"{SCENARIO}/run.json"),
        order=label_order,
        code=code("batch_times"),
    shell:
        "python -m fedsieve batch_times --grid {params.grid:q}"
        " --clients-logs {params.clients_logs:q} --records {params.records:q}"
        " --order {params.order:q} --table {output.csv:q} --figures {output.png:q} {output.pdf:q}"
        " > {log:q} 2>&1"


rule feature_maps:
    input:
        data=mapped(f"{TASK}/data.npz"),
        weights=mapped(f"{SCENARIO}/model.safetensors"),
        unattacked=mapped(f"{UNDEFENDED}/model.safetensors"),
    output:
        png=report(
            "results/figures/{grid}/feature_maps.png",
            caption="../report/feature_maps.rst",
            category="Figures",
            labels={
                "grid": "{grid}",
                "figure": "feature maps with and without trigger",
            },
        ),
        pdf="results/figures/{grid}/feature_maps.pdf",
    log:
        "results/figures/{grid}/feature_maps.log",
    conda:
        ENVIRONMENT
    params:
        attack=lambda w: json.dumps(
            mapped_entry(w, "attacks", "attack"), sort_keys=True
        ),
        model=lambda w: json.dumps(
            mapped_entry(w, "tasks", "task", "model"), sort_keys=True
        ),
        scenario=lambda w: json.dumps(mapped_scenario(w), sort_keys=True),
        code=code(
            "feature_maps",
            ("models", lambda w: mapped_entry(w, "tasks", "task", "model")),
            ("attacks", lambda w: mapped_entry(w, "attacks", "attack")),
        ),
    shell:
        "python -m fedsieve feature_maps --data {input.data:q} --weights {input.weights:q}"
        " --unattacked {input.unattacked:q} --attack {params.attack:q} --model {params.model:q}"
        " --scenario {params.scenario:q} --figures {output:q} > {log:q} 2>&1"


rule flags:
    input:
        kept=flagging_files(f"{SCENARIO}/kept.npz"),
        poisonings=flagging_files(f"{POISONED}/poisoning.npz"),
    output:
        png=report(
            "results/figures/{grid}/flags-{sanitizer}.png",
            caption="../report/flags.rst",
            category="Figures",
            labels={
                "grid": "{grid}",
                "figure": "clients and cells flagged, {sanitizer}",
            },
        ),
        pdf="results/figures/{grid}/flags-{sanitizer}.pdf",
        csv="results/tables/{grid}-flags-{sanitizer}.csv",
    log:
        "results/figures/{grid}/flags-{sanitizer}.log",
    conda:
        ENVIRONMENT
    params:
        grid=lambda w: json.dumps(flagging_grid(w), sort_keys=True),
        kept=filled(f"{SCENARIO}/kept.npz"),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        code=code("flags"),
    shell:
        "python -m fedsieve flags --grid {params.grid:q} --kept {params.kept:q}"
        " --poisonings {params.poisonings:q} --sanitizer {wildcards.sanitizer:q}"
        " --table {output.csv:q} --figures {output.png:q} {output.pdf:q} > {log:q} 2>&1"


rule quality:
    input:
        logs=defense_files(f"{SCENARIO}/clients.csv"),
        poisonings=defense_files(f"{POISONED}/poisoning.npz"),
    output:
        png=report(
            "results/figures/{grid}/quality-{defense}.png",
            caption="../report/quality.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "scores of all clients, {defense}"},
        ),
        pdf="results/figures/{grid}/quality-{defense}.pdf",
    log:
        "results/figures/{grid}/quality-{defense}.log",
    conda:
        ENVIRONMENT
    params:
        grid=lambda w: json.dumps(defense_grid(w), sort_keys=True),
        logs=filled(f"{SCENARIO}/clients.csv"),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        order=label_order,
        score=lambda w: plugin_specs.declared(
            "detectors", entry("defenses", w.defense, "detect", "use"), "SCORE"
        ),
        code=code("quality"),
    shell:
        "python -m fedsieve quality --grid {params.grid:q} --logs {params.logs:q}"
        " --poisonings {params.poisonings:q} --order {params.order:q}"
        " --score {params.score:q} --figures {output:q} > {log:q} 2>&1"


rule updates:
    input:
        files=defense_files(f"{SCENARIO}/screened.npz"),
        poisonings=defense_files(f"{POISONED}/poisoning.npz"),
    output:
        png=report(
            "results/figures/{grid}/updates-{defense}.png",
            caption="../report/updates.rst",
            category="Figures",
            labels={"grid": "{grid}", "figure": "updates in the plane, {defense}"},
        ),
        pdf="results/figures/{grid}/updates-{defense}.pdf",
    log:
        "results/figures/{grid}/updates-{defense}.log",
    conda:
        ENVIRONMENT
    params:
        grid=lambda w: json.dumps(defense_grid(w), sort_keys=True),
        files=filled(f"{SCENARIO}/screened.npz"),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        code=code("updates"),
    shell:
        "python -m fedsieve updates --grid {params.grid:q} --files {params.files:q}"
        " --poisonings {params.poisonings:q} --figures {output:q} > {log:q} 2>&1"


rule runs:
    input:
        rounds=scenario_files("rounds.csv"),
        clients_logs=scenario_files("clients.csv"),
        kept=scenario_files("kept.npz"),
        records=scenario_files("run.json"),
        poisonings=scenario_truths,
    output:
        table="results/tables/{grid}-runs.csv",
        curves="results/tables/{grid}-curves.csv",
    log:
        "results/tables/{grid}-runs.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        rounds=filled(f"{SCENARIO}/rounds.csv"),
        clients_logs=filled(f"{SCENARIO}/clients.csv"),
        kept=filled(f"{SCENARIO}/kept.npz"),
        poisonings=filled(f"{POISONED}/poisoning.npz"),
        records=filled(f"{SCENARIO}/run.json"),
        code=code("runs"),
    shell:
        "python -m fedsieve runs --grid {params.grid:q} --rounds {params.rounds:q}"
        " --clients-logs {params.clients_logs:q} --kept {params.kept:q}"
        " --poisonings {params.poisonings:q} --records {params.records:q}"
        " --table {output.table:q} --curves {output.curves:q} > {log:q} 2>&1"


rule page:
    input:
        summaries=expand("results/tables/{grid}.csv", grid=config["run"]),
        values=expand("results/tables/{grid}-values.csv", grid=config["run"]),
        runs=expand("results/tables/{grid}-runs.csv", grid=config["run"]),
        curves=expand("results/tables/{grid}-curves.csv", grid=config["run"]),
        screenings=expand(
            "results/tables/{grid}-screenings.csv", grid=screening_grids()
        ),
        claims=["results/claims.csv"] if claimed_grids() else [],
        figures=[path for path in figures() if path.endswith(".png")],
    output:
        "results/report/index.html",
    log:
        "results/report/page.log",
    conda:
        ENVIRONMENT
    params:
        config=lambda w: shown_settings(),
        marks=lambda w: all_marks(),
        summaries=filled("results/tables/{grid}.csv"),
        values=filled("results/tables/{grid}-values.csv"),
        runs=filled("results/tables/{grid}-runs.csv"),
        curves=filled("results/tables/{grid}-curves.csv"),
        screenings=filled("results/tables/{grid}-screenings.csv"),
        captions=lambda w: os.path.relpath(CAPTIONS),
        folder=filled(SCENARIO),
        texts=texts(CAPTIONS, ROOT / "src/fedsieve/templates"),
        code=code("page"),
    shell:
        "python -m fedsieve page --config {params.config:q} --marks {params.marks:q}"
        " --summaries {params.summaries:q} --values {params.values:q}"
        " --runs {params.runs:q} --curves {params.curves:q}"
        " --screenings {params.screenings:q}"
        " --claims {input.claims:q} --figures {input.figures:q}"
        " --captions {params.captions:q} --folder {params.folder:q} --html {output:q}"
        " > {log:q} 2>&1"
