# LeRobotDatasets with images in Parquet files: each episode becomes a raw file as the collector writes
# it, by a job of its own.
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
    shell:
        command("import_lerobot")


# Datasets of videos: a job decodes neighbours in a file, some thousand frames. They are as many as the
# index says, and a rule says its outputs before it runs: so each job has a rule.
for (dataset, first), job in jobs_of_videos().items():

    rule:
        name:
            video_rule(dataset, job)
        output:
            **video_outputs(job),
        log:
            EpisodeFiles.log(dataset=dataset, episode=first),
        conda:
            "../../envs/mobile-vla-lerobot.yaml"
        params:
            *tracked("import_videos", video_settings(job), rule=video_rule(dataset, job)),
            video_content(dataset, job),
            settings=settings_of(video_rule(dataset, job)),
            data=in_place(*job.data),
            video=in_place(job.video),
        shell:
            command("import_videos")
