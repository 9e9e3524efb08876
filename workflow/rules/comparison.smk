# All experiments on the steps that all of them predict.
rule compare:
    input:
        tracked_results(project.compare()),
    output:
        **outputs(ComparisonFiles),
    log:
        ComparisonFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("compare"),
        settings=lambda w: project.compare().canonical(),
    shell:
        command("compare")
