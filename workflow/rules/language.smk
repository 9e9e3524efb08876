# The scored frames of each run under other prompts.
rule language:
    input:
        lambda w: backbone_weights(backbone_of(w)),
        lambda w: stored(promptless_features(w)),
        **behaviour_inputs,
        features=lambda w: described(promptless_features(w)),
        policy=TrainingFiles.below().policy,
    output:
        **outputs(LanguageFiles),
    log:
        LanguageFiles.log(),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("language", project.language, "experiment", "run"),
        settings=settings_of("language"),
        checkpoint=checkpoint_folder,
    shell:
        command("language")
