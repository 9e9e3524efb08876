# LeRobotDatasets: each episode becomes a raw file as the collector writes it, by a job of its own.
rule import_lerobot:
    output:
        **outputs(RawFiles),
    log:
        RawFiles.log(),
    wildcard_constraints:
        dataset=of_kind("lerobot"),
    conda:
        "../../envs/mobile-vla-lerobot.yaml"
    params:
        *tracked("import_lerobot", imported_episode, "dataset", "episode"),
        lambda w: imported_content(w.dataset, w.episode),
        settings=settings_of("import_lerobot"),
        data=lambda w, output: str(imported(w.dataset)[w.episode].data),
        video=imported_video,
    shell:
        command("import_lerobot")
