# The frozen prefix over every frame, once for all experiments that read the same features.
rule features:
    input:
        lambda w: backbone_weights(w.backbone),
        manifest=ManifestFiles.below().manifest,
        actions=ancient(str(ManifestFiles.below().actions)),
        backbone=BackboneFiles.below().description,
    output:
        **outputs(FeatureFiles),
    log:
        FeatureFiles.log(),
    conda:
        ENVIRONMENT
    threads: project.features.threads
    resources:
        gpu=min(1, GPUS),
        mem_mb=model_memory,
    params:
        *tracked("features", project.extract, "dataset", "backbone", "cut", "key"),
        settings=settings_of("features"),
        checkpoint=checkpoint_folder,
    shell:
        command("features")
