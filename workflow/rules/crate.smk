# A finished grid as one file to publish: snakemake ... results/crates/GRID.zip (docs/provenance.md).

RECORDED = [
    *(
        f"{SCENARIO}/{name}"
        for name in [
            "metrics.json",
            "run.json",
            "model.safetensors",
            "predictions.npz",
            "clients.csv",
            "kept.npz",
            "screened.npz",
            "rounds.csv",
        ]
    ),
    f"{POISONED}/poisoning.npz",
    f"{PARTITIONED}/{{attack}}/floor.json",
    f"{PARTITIONED}/clients.npz",
    f"{TASK}/data.npz",
    f"{TASK}/source.json",
]
"""All that the tables of a grid rest on: a copy or the SHA-256 of each is in its crate."""

SETTINGS = [
    "tasks",
    "partitions",
    "attacks",
    "sanitizers",
    "defenses",
    "detections",
]
"""Sections of the configuration that results depend on; others may name the machine's folders."""


rule crate:
    input:
        files=lambda w: sorted(
            {
                pattern.format(**scenario)
                for scenario in grids.scenarios(config["grids"][w.grid])
                for pattern in RECORDED
            }
        ),
        tables=expand("results/tables/{{grid}}.{kind}", kind=[*TABLES, "txt"]),
        runs=["results/tables/{grid}-runs.csv", "results/tables/{grid}-curves.csv"],
    output:
        "results/crates/{grid}.zip",
    log:
        "results/crates/{grid}.log",
    conda:
        ENVIRONMENT
    params:
        grid=spec("grids", "grid"),
        files=lambda w: RECORDED,
        results=filled("results/"),
        order=label_order,
        marks=defense_marks,
        config=lambda w: json.dumps(
            {section: config[section] for section in SETTINGS}
            | {"grids": {w.grid: config["grids"][w.grid]}, "run": [w.grid]},
            sort_keys=True,
        ),
        workflow=texts(ROOT / "workflow/rules", ROOT / "workflow/schemas"),
        code=code("crate"),
    shell:
        "python -m fedsieve crate --name {wildcards.grid:q} --grid {params.grid:q}"
        " --files {params.files:q} --tables {input.tables:q} {input.runs:q}"
        " --results {params.results:q}"
        " --order {params.order:q} --marks {params.marks:q} --config {params.config:q}"
        ' --agent "${{FEDSIEVE_AGENT:-}}" --crate {output:q} > {log:q} 2>&1'
