# From the facts of all episodes to a manifest and a split. Neither takes an experiment's setting.
def frame_files(wildcards):
    """Return the frames of all episodes, which their facts describe."""
    return [ancient(file) for file in of_episodes(EpisodeFiles.below().frames)(wildcards)]


def flag_file(wildcards):
    """Return the list of episodes with warnings, where such episodes are left out."""
    if project.datasets[wildcards.dataset].on_warning == "keep":
        return []
    return str(FlagFiles.below(**wildcards).flags)


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
