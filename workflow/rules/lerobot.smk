# LeRobotDatasets: each episode becomes a raw file as the collector writes it, by a job of its own.
rule import_lerobot:
    output:
        raw="results/datasets/{dataset}/raw/{episode}.h5",
        digest="results/datasets/{dataset}/raw/{episode}.json",
        provenance="results/datasets/{dataset}/raw/{episode}.provenance.json",
    log:
        "results/logs/import_lerobot/{dataset}/{episode}.log",
    wildcard_constraints:
        dataset=of_kind("lerobot"),
    conda:
        "../../envs/mobile-vla-lerobot.yaml"
    params:
        *tracked("import_lerobot"),
        settings=lambda w: imported(w.dataset)[w.episode].settings.canonical(),
        data=lambda w: str(imported(w.dataset)[w.episode].data),
        content=lambda w: imported_content(w.dataset)[imported(w.dataset)[w.episode].data],
    shell:
        "python -m mobile_vla import_lerobot --settings {params.settings:q} --data {params.data:q}"
        " --raw {output.raw:q} --digest {output.digest:q}"
        " --record {output.provenance:q} --log {log:q}"
