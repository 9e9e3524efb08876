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
        *tracked("random_backbone"),
        settings=lambda w: project.backbone(w.backbone).canonical(),
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
        *tracked("pretrained_backbone"),
        pretrained_content,
        settings=lambda w: project.backbone(w.backbone).canonical(),
    shell:
        command("pretrained_backbone")
