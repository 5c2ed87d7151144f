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
        files=lambda w: f"{SCENARIO}/metrics.json",
        order=label_order,
        marks=defense_marks,
        code=code("table"),
    shell:
        "python -m fedsieve table --grid {params.grid:q} --files {params.files:q}"
        " --order {params.order:q} --marks {params.marks:q} --csv {output.csv}"
        " --md {output.md} --tex {output.tex} --html {output.html} --txt {output.txt}"
        " > {log} 2>&1"


rule curves:
    input:
        scenario_files("rounds.csv"),
    output:
        png=report(
            "results/figures/{grid}/curves.png",
            caption="../report/curves.rst",
            category="Figures",
            labels={
                "grid": "{grid}",
                "figure": "accuracy and attack success per round",
            },
        ),
        pdf="results/figures/{grid}/curves.pdf",
    log:
        "results/figures/{grid}/curves.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        files=lambda w: f"{SCENARIO}/rounds.csv",
        order=label_order,
        code=code("curves"),
    shell:
        "python -m fedsieve curves --grid {params.grid:q} --files {params.files:q}"
        " --order {params.order:q} --figures {output} > {log} 2>&1"


rule sanitization_bars:
    input:
        "results/tables/{grid}.csv",
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
        "python -m fedsieve sanitization_bars --summary {input} --order {params.order:q}"
        " --figures {output} > {log} 2>&1"


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
        "python -m fedsieve feature_space --attacks {params.attacks}"
        " --poisonings {input.poisonings} --clients {input.clients} --keeps {input.keeps}"
        " --views {input.views} --figures {output} > {log} 2>&1"
