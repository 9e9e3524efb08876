# Closed loop: each run's best policy in unseen scenes, where the dataset's world is known.
rule rollout:
    input:
        lambda w: backbone_weights(backbone_of(w)),
        **behaviour_inputs,
        policy=TrainingFiles.below().policy,
    output:
        **outputs(RolloutFiles),
    log:
        RolloutFiles.log(),
    wildcard_constraints:
        experiment=one_of(project.rolled_out()),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("rollout", project.rollout, "experiment", "run"),
        settings=settings_of("rollout"),
        checkpoint=checkpoint_folder,
    shell:
        command("rollout")
