# The frozen prefix over every frame, once for all experiments that read the same features.
rule features:
    input:
        unpack(lambda w: backbone_files(w.backbone)),
        unpack(lambda w: dataset_files(w.dataset)),
    output:
        features="results/features/{dataset}/{backbone}/{cut}-{key}.npy",
        description="results/features/{dataset}/{backbone}/{cut}-{key}.json",
        provenance="results/features/{dataset}/{backbone}/{cut}-{key}.provenance.json",
    log:
        "results/logs/features/{dataset}/{backbone}/{cut}-{key}.log",
    conda:
        ENVIRONMENT
    threads: project.features.threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("features"),
        settings=lambda w: project.extract(w.dataset, w.backbone, w.cut, w.key).canonical(),
    shell:
        "python -m mobile_vla features --settings {params.settings:q} --manifest {input.manifest:q}"
        " --actions {input.actions:q} --backbone {input.backbone:q}"
        " --threads {threads} --features {output.features:q}"
        " --description {output.description:q} --record {output.provenance:q} --log {log:q}"
