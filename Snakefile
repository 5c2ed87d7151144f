include: "workflow/Snakefile"


# Without this, a Snakefile that only includes another builds nothing and reports success.
workflow.default_target = "all"
