# From the facts of all episodes to a manifest and a split. Neither takes an experiment's setting.
rule manifest:
    input:
        frame_files,
        recorded_location,
        facts=of_episodes(EpisodeFiles.below().facts),
        flags=flag_file,
    output:
        **outputs(ManifestFiles),
    log:
        ManifestFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("manifest"),
        settings=lambda w: project.manifest(w.dataset).canonical(),
    shell:
        command("manifest")


rule split:
    input:
        manifest=ManifestFiles.below().manifest,
    output:
        **outputs(SplitFiles),
    log:
        SplitFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("split"),
        settings=lambda w: project.split(w.dataset).canonical(),
    shell:
        command("split")
