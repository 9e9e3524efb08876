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


rule locate_backbone:
    output:
        **outputs(BackboneLocationFiles),
    log:
        BackboneLocationFiles.log(),
    wildcard_constraints:
        backbone=backbones(random=False),
    conda:
        ENVIRONMENT
    params:
        *tracked("locate_backbone"),
        settings=lambda w: project.backbone_location(w.backbone).canonical(),
    shell:
        command("locate_backbone")


rule pretrained_backbone:
    input:
        location=lambda w: backbone_location(w.backbone),
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
