# Backbones: drawn at random and written as a checkpoint folder, or found and described.
rule random_backbone:
    output:
        BackboneFiles.weights(),
        **outputs(BackboneFiles),
    log:
        BackboneFiles.log(),
    wildcard_constraints:
        backbone=backbones(random=True),
    conda:
        ENVIRONMENT
    params:
        *tracked("random_backbone", project.backbone, "backbone"),
        settings=settings_of("random_backbone"),
    shell:
        command("random_backbone")


rule pretrained_backbone:
    output:
        **outputs(BackboneFiles),
    log:
        BackboneFiles.log(),
    wildcard_constraints:
        backbone=backbones(random=False),
    conda:
        ENVIRONMENT
    params:
        *tracked("pretrained_backbone", project.backbone, "backbone"),
        pretrained_content,
        checkpoint=checkpoint_folder,
        settings=settings_of("pretrained_backbone"),
    shell:
        command("pretrained_backbone")
