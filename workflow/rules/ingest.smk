# From raw episodes to frames and facts.
rule ingest:
    input:
        raw_inputs,
    output:
        **outputs(EpisodeFiles),
    log:
        EpisodeFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("ingest", ingested_episode, "dataset", "episode"),
        raw_content,
        settings=settings_of("ingest"),
        raw=raw_path,
        raw_folder=raw_folder,
    shell:
        command("ingest")
