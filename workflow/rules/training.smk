# One fine-tune a run, that is for each seed and fold of an experiment.
rule train:
    input:
        least_memory,
        possible_prompts,
        training_stored,
        **training_inputs,
        init_from=start_policy,
    output:
        **outputs(TrainingFiles),
    log:
        TrainingFiles.log(),
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        **training_resources,
        runtime=training_time,
    params:
        *tracked("train", project.train, "experiment", "run"),
        settings=settings_of("train"),
        checkpoint=checkpoint_folder,
    shell:
        command("train")
