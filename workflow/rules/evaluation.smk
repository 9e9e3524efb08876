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
    threads: lambda w: project.experiments[w.experiment].training.threads
    params:
        *tracked("evaluate"),
        settings=lambda w: project.evaluate(w.experiment, w.run).canonical(),
    shell:
        "python -m mobile_vla evaluate --settings {params.settings:q} --policy {input.policy:q}"
        " --manifest {input.manifest:q} --actions {input.actions:q} --split {input.split:q}"
        " --backbone {input.backbone:q} --features {input.features:q}"
        " --threads {threads} --evaluation {output.evaluation:q}"
        " --predictions {output.predictions:q} --record {output.provenance:q} --log {log:q}"
