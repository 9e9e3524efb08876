# One fine-tune a run, that is for each seed and fold of an experiment.
rule train:
    input:
        unpack(lambda w: training_files(w.experiment)),
        init_from=start_policy,
    output:
        policy="results/experiments/{experiment}/{run}/policy/policy.json",
        last="results/experiments/{experiment}/{run}/last/policy.json",
        metrics="results/experiments/{experiment}/{run}/metrics.csv",
        results="results/experiments/{experiment}/{run}/training_results.json",
        provenance="results/experiments/{experiment}/{run}/training.provenance.json",
    log:
        "results/logs/train/{experiment}/{run}.log",
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        runtime=training_time,
        memory_limit_gb=MEMORY_LIMIT_GB,
        launcher=launcher,
        nodes=training_nodes,
        tasks=training_nodes,
        mpi=on_several_nodes("srun"),
        tasks_per_gpu=on_several_nodes(0),  # no request: Slurm's plugin would make one of `tasks`
    params:
        *tracked("train"),
        settings=lambda w: project.train(w.experiment, w.run).canonical(),
    shell:
        "{resources.launcher} train --settings {params.settings:q} --manifest {input.manifest:q}"
        " --actions {input.actions:q} --split {input.split:q} --backbone {input.backbone:q}"
        " --features {input.features:q} --mirrored {input.mirrored:q} --init-from {input.init_from:q}"
        " --threads {threads} --memory-limit-gb {resources.memory_limit_gb}"
        " --policy {output.policy:q} --last {output.last:q}"
        " --metrics {output.metrics:q} --results {output.results:q}"
        " --record {output.provenance:q} --log {log:q}"
