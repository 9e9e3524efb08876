# LeRobotDatasets: each episode becomes a raw file as the collector writes it, by a job of its own.
rule import_lerobot:
    input:
        location=lambda w: dataset_location(w.dataset),
    output:
        **outputs(RawFiles),
    log:
        RawFiles.log(),
    wildcard_constraints:
        dataset=of_kind("lerobot"),
    conda:
        "../../envs/mobile-vla-lerobot.yaml"
    params:
        *tracked("import_lerobot"),
        lambda w: imported_content(w.dataset)[imported(w.dataset)[w.episode].data],
        settings=lambda w: imported(w.dataset)[w.episode].settings.canonical(),
        data=lambda w: below_dataset(w.dataset, imported(w.dataset)[w.episode].data),
    shell:
        command("import_lerobot")
