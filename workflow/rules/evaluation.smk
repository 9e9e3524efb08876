# Each run's best policy on the episodes that neither trained nor selected it.
rule evaluate:
    input:
        run_stored,
        **run_inputs,
        policy=TrainingFiles.below().policy,
    output:
        **outputs(EvaluationFiles),
    log:
        EvaluationFiles.log(),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("evaluate", project.evaluate, "experiment", "run"),
        settings=settings_of("evaluate"),
        checkpoint=checkpoint_folder,
    shell:
        command("evaluate")


# The same policy on another dataset's test episodes, none of which it may have seen.
rule evaluate_on:
    input:
        run_stored,
        other_stored,
        **run_inputs,
        **other_inputs,
        policy=TrainingFiles.below().policy,
    output:
        **outputs(OtherEvaluationFiles),
    log:
        OtherEvaluationFiles.log(),
    wildcard_constraints:
        experiment=scored_elsewhere(),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("evaluate_on", project.evaluate, "experiment", "run"),
        settings=settings_of("evaluate_on"),
        checkpoint=checkpoint_folder,
    shell:
        command("evaluate_on")


# Of a policy that was trained on a mixture also the scores on each of its datasets, by itself.
rule score_member:
    input:
        whole=EvaluationFiles.below().evaluation,
        whole_predictions=ancient(str(EvaluationFiles.below().predictions)),
        manifest=ManifestFiles.below().manifest,
        split=SplitFiles.below().split,
    output:
        **outputs(OtherEvaluationFiles),
    log:
        OtherEvaluationFiles.log(),
    wildcard_constraints:
        experiment=mixed(),
    conda:
        ENVIRONMENT
    params:
        *tracked("score_member", project.evaluate, "experiment", "run"),
        settings=settings_of("score_member"),
    shell:
        command("score_member")
