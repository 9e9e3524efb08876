# Each run's best policy on the episodes that neither trained nor selected it.
rule evaluate:
    input:
        unpack(lambda w: experiment_files(w.experiment)),
        policy="results/experiments/{experiment}/{run}/policy/policy.json",
    output:
        evaluation="results/experiments/{experiment}/{run}/evaluation.json",
        predictions="results/experiments/{experiment}/{run}/predictions.npz",
        provenance="results/experiments/{experiment}/{run}/evaluation.provenance.json",
    log:
        "results/logs/evaluate/{experiment}/{run}.log",
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("evaluate"),
        settings=lambda w: project.evaluate(w.experiment, w.run).canonical(),
    shell:
        "python -m mobile_vla evaluate --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --backbone {input.backbone:q} --features {input.features:q}"
        " --threads {threads} --evaluation {output.evaluation:q}"
        " --predictions {output.predictions:q} --record {output.provenance:q} --log {log:q}"


# The same policy on another dataset's test episodes, none of which it may have seen.
rule evaluate_on:
    input:
        unpack(lambda w: other_files(w.experiment, w.dataset)),
        policy="results/experiments/{experiment}/{run}/policy/policy.json",
    output:
        evaluation="results/experiments/{experiment}/{run}/on/{dataset}/evaluation.json",
        predictions="results/experiments/{experiment}/{run}/on/{dataset}/predictions.npz",
        provenance="results/experiments/{experiment}/{run}/on/{dataset}/evaluation.provenance.json",
    log:
        "results/logs/evaluate/{experiment}/{run}/on/{dataset}.log",
    wildcard_constraints:
        experiment=scored_elsewhere(),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("evaluate_on"),
        settings=lambda w: project.evaluate(w.experiment, w.run).canonical(),
    shell:
        "python -m mobile_vla evaluate_on --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --on-manifest {input.on_manifest:q} --on-actions {input.on_actions:q}"
        " --on-split {input.on_split:q} --on-features {input.on_features:q}"
        " --backbone {input.backbone:q} --features {input.features:q} --threads {threads} --evaluation {output.evaluation:q}"
        " --predictions {output.predictions:q} --record {output.provenance:q} --log {log:q}"


# All experiments on the steps that all of them predict.
rule compare:
    input:
        evaluations=of_runs("results/experiments/{experiment}/{run}/evaluation.json"),
        predictions=[
            ancient(file)
            for file in of_runs("results/experiments/{experiment}/{run}/predictions.npz")
        ],
    output:
        comparison="results/comparison.json",
        provenance="results/comparison.provenance.json",
    log:
        "results/logs/compare.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("compare"),
        settings=lambda w: project.compare().canonical(),
    shell:
        "python -m mobile_vla compare --settings - --evaluations {input.evaluations:q}"
        " --predictions {input.predictions:q} --comparison {output.comparison:q}"
        " --record {output.provenance:q} --log {log:q} <<'SETTINGS'\n{params.settings}\nSETTINGS\n"


# Closed loop: each run's best policy in unseen scenes, where the dataset's world is known.
rule rollout:
    input:
        unpack(lambda w: policy_files(w.experiment, w.run)),
    output:
        rollouts="results/experiments/{experiment}/{run}/rollouts.json",
        paths="results/experiments/{experiment}/{run}/rollouts.npz",
        provenance="results/experiments/{experiment}/{run}/rollouts.provenance.json",
    log:
        "results/logs/rollout/{experiment}/{run}.log",
    wildcard_constraints:
        experiment=one_of(project.rolled_out()),
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("rollout"),
        settings=lambda w: project.rollout(w.experiment, w.run).canonical(),
    shell:
        "python -m mobile_vla rollout --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --backbone {input.backbone:q} --threads {threads} --rollouts {output.rollouts:q}"
        " --paths {output.paths:q} --record {output.provenance:q} --log {log:q}"


# The validation frames of each run under other prompts.
rule language:
    input:
        unpack(lambda w: language_files(w.experiment, w.run)),
    output:
        language="results/experiments/{experiment}/{run}/language.json",
        provenance="results/experiments/{experiment}/{run}/language.provenance.json",
    log:
        "results/logs/language/{experiment}/{run}.log",
    conda:
        ENVIRONMENT
    threads: model_threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("language"),
        settings=lambda w: project.language(w.experiment, w.run).canonical(),
    shell:
        "python -m mobile_vla language --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --backbone {input.backbone:q} --features {input.features:q} --threads {threads}"
        " --language {output.language:q} --record {output.provenance:q} --log {log:q}"


# A control step of each experiment's first run. It takes all cores, so that nothing runs beside it.
rule latency:
    input:
        unpack(lambda w: policy_files(w.experiment, project.first_run(w.experiment))),
    output:
        latency="results/experiments/{experiment}/latency.json",
        provenance="results/experiments/{experiment}/latency.provenance.json",
    log:
        "results/logs/latency/{experiment}.log",
    conda:
        ENVIRONMENT
    threads: all_cores(model_threads)
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("latency"),
        settings=lambda w: project.latency(w.experiment).canonical(),
    shell:
        "python -m mobile_vla latency --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --backbone {input.backbone:q} --threads {threads} --latency {output.latency:q}"
        " --record {output.provenance:q} --log {log:q}"
