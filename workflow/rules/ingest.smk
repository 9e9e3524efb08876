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
        *tracked("ingest"),
        raw_content,
        settings=lambda w: project.ingest(w.dataset, w.episode).canonical(),
        raw=raw_path,
    shell:
        command("ingest")
