# Backbones: drawn at random and written as a checkpoint folder, or found and described.
rule random_backbone:
    output:
        description="results/backbones/{backbone}/backbone.json",
        weights="results/backbones/{backbone}/model.safetensors",
        provenance="results/backbones/{backbone}/backbone.provenance.json",
    log:
        "results/logs/backbone/{backbone}.log",
    wildcard_constraints:
        backbone=backbones(random=True),
    conda:
        ENVIRONMENT
    params:
        *tracked("random_backbone"),
        settings=lambda w: project.backbone(w.backbone).canonical(),
    shell:
        "python -m mobile_vla random_backbone --settings {params.settings:q}"
        " --description {output.description:q} --record {output.provenance:q} --log {log:q}"


rule pretrained_backbone:
    output:
        description="results/backbones/{backbone}/backbone.json",
        provenance="results/backbones/{backbone}/backbone.provenance.json",
    log:
        "results/logs/backbone/{backbone}.log",
    wildcard_constraints:
        backbone=backbones(random=False),
    conda:
        ENVIRONMENT
    params:
        *tracked("pretrained_backbone"),
        settings=lambda w: project.backbone(w.backbone).canonical(),
        content=pretrained_content,
    shell:
        "python -m mobile_vla pretrained_backbone --settings {params.settings:q}"
        " --description {output.description:q} --record {output.provenance:q} --log {log:q}"
