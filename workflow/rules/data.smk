# From raw episodes to frames, a manifest and a split. None of it takes an experiment's setting.
rule ingest:
    input:
        raw_inputs,
    output:
        facts="results/datasets/{dataset}/episodes/{episode}.json",
        frames="results/datasets/{dataset}/episodes/{episode}.npy",
        provenance="results/datasets/{dataset}/episodes/{episode}.provenance.json",
    log:
        "results/logs/ingest/{dataset}/{episode}.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("ingest"),
        settings=lambda w: project.ingest(w.dataset, w.episode).canonical(),
        raw=raw_path,
        content=raw_content,
    shell:
        "python -m mobile_vla ingest --settings {params.settings:q} --raw {params.raw:q}"
        " --facts {output.facts:q} --frames {output.frames:q}"
        " --record {output.provenance:q} --log {log:q}"


rule manifest:
    input:
        facts=of_episodes("results/datasets/{dataset}/episodes/{episode}.json"),
        frames=frame_files,
        flags=flag_file,
    output:
        manifest="results/datasets/{dataset}/manifest.json",
        actions="results/datasets/{dataset}/actions.npy",
        provenance="results/datasets/{dataset}/manifest.provenance.json",
    log:
        "results/logs/manifest/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("manifest"),
        settings=lambda w: project.manifest(w.dataset).canonical(),
    shell:
        "python -m mobile_vla manifest --settings {params.settings:q} --facts {input.facts:q}"
        " --flags {input.flags:q} --manifest {output.manifest:q} --actions {output.actions:q}"
        " --record {output.provenance:q} --log {log:q}"


rule split:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        split="results/datasets/{dataset}/split.json",
        provenance="results/datasets/{dataset}/split.provenance.json",
    log:
        "results/logs/split/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("split"),
        settings=lambda w: project.split(w.dataset).canonical(),
    shell:
        "python -m mobile_vla split --settings {params.settings:q} --manifest {input.manifest:q}"
        " --split {output.split:q} --record {output.provenance:q} --log {log:q}"
