# Real drives: what the committed files of a blind trial say of the policies as they are today.
rule trials:
    input:
        policies=trial_policies,
    output:
        **outputs(TrialFiles),
    log:
        TrialFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("trials", project.trial, "trial"),
        trial_content,
        settings=settings_of("trials"),
        folder=lambda w: str(TRIALS / w.trial),
    shell:
        command("trials")
