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
        *tracked("compare", project.compare),
        settings=settings_of("compare"),
    shell:
        command("compare")
