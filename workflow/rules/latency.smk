# A control step of each experiment's first run. It takes all cores, so that nothing runs beside it.
rule latency:
    input:
        lambda w: backbone_weights(backbone_of(w)),
        **behaviour_inputs,
        policy=lambda w: TrainingFiles.below(
            experiment=w.experiment, run=project.first_run(w.experiment)
        ).policy,
    output:
        **outputs(LatencyFiles),
    log:
        LatencyFiles.log(),
    conda:
        ENVIRONMENT
    threads: all_cores(model_threads)
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("latency", project.latency, "experiment"),
        settings=settings_of("latency"),
        checkpoint=checkpoint_folder,
    shell:
        command("latency")
