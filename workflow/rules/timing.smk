# Seconds of an epoch, from a few real steps. It takes all cores, so that nothing runs beside it.
rule timing:
    input:
        unpack(lambda w: training_files(w.experiment)),
    output:
        timing="results/experiments/{experiment}/timing.json",
        page=report(
            "results/experiments/{experiment}/timing.html",
            caption="../report/timing.rst",
            category="Timing",
            labels={"experiment": "{experiment}"},
        ),
        provenance="results/experiments/{experiment}/timing.provenance.json",
    log:
        "results/logs/timing/{experiment}.log",
    conda:
        ENVIRONMENT
    threads: all_cores(training_threads)
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        memory_limit_gb=MEMORY_LIMIT_GB,
        launcher=launcher,
        nodes=training_nodes,
        tasks=training_nodes,
        mpi=on_several_nodes("srun"),
        tasks_per_gpu=on_several_nodes(0),  # no request: Slurm's plugin would make one of `tasks`
    params:
        *tracked("timing"),
        settings=lambda w: project.timing(w.experiment).canonical(),
    shell:
        "{resources.launcher} timing --settings {params.settings:q} --manifest {input.manifest:q}"
        " --actions {input.actions:q} --split {input.split:q} --backbone {input.backbone:q}"
        " --features {input.features:q} --mirrored {input.mirrored:q} --threads {threads}"
        " --memory-limit-gb {resources.memory_limit_gb}"
        " --timing {output.timing:q} --page {output.page:q}"
        " --record {output.provenance:q} --log {log:q}"
