# From the facts of all episodes to a manifest and a split. Neither takes an experiment's setting.
rule manifest:
    input:
        frame_files,
        facts=of_episodes(EpisodeFiles.below().facts),
        flags=flag_file,
    output:
        **outputs(ManifestFiles),
    log:
        ManifestFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("manifest", project.manifest, "dataset"),
        settings=settings_of("manifest"),
        raw_folder=raw_folder,
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
        *tracked("split", project.split, "dataset"),
        settings=settings_of("split"),
    shell:
        command("split")
