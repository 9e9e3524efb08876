# From raw episodes to frames and facts. Where recorded ones lie is noted by a job of its own.
rule locate_dataset:
    output:
        **outputs(DatasetLocationFiles),
    log:
        DatasetLocationFiles.log(),
    wildcard_constraints:
        dataset=of_kind("recorded", "lerobot"),
    conda:
        ENVIRONMENT
    params:
        *tracked("locate_dataset"),
        settings=lambda w: project.dataset_location(w.dataset).canonical(),
    shell:
        command("locate_dataset")


rule ingest:
    input:
        raw_inputs,
        location=recorded_location,
    output:
        **outputs(EpisodeFiles),
    log:
        EpisodeFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("ingest"),
        raw_content,
        settings=lambda w: project.ingest(w.dataset, w.episode).canonical(),
        raw=raw_path,
    shell:
        command("ingest")
