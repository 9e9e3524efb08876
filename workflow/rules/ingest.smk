# From raw episodes to frames and facts.
rule ingest:
    input:
        raw_inputs,
    output:
        **outputs(EpisodeFiles),
    log:
        EpisodeFiles.log(),
    wildcard_constraints:
        dataset=with_raw_files(),
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
