# Backbones: drawn at random and written as a checkpoint folder, or found and described.
def pretrained_content(wildcards):
    """Return the identity of a local checkpoint's bytes; a hub's is its revision."""
    backbone = project.backbones[wildcards.backbone]
    folder = Path(backbone.checkpoint).expanduser()
    if backbone.revision is not None or not folder.is_dir():
        return []
    ids = content_ids(checkpoint_files(folder), CONTENT_CACHE)
    return [f"{path.name} {identity}" for path, identity in ids.items()]


def backbones(random):
    """Return a pattern of the backbones whose weights are, or are not, drawn here."""
    return one_of(name for name in project.backbones if project.is_random(name) == random)


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
