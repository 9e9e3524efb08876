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
    wildcard_constraints:
        dataset=with_episodes(),
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
    wildcard_constraints:
        dataset=with_episodes(),
    conda:
        ENVIRONMENT
    params:
        *tracked("split", project.split, "dataset"),
        settings=settings_of("split"),
    shell:
        command("split")


# A mixture's manifest and split are those of its datasets, put together. It has no frames, features
# and findings of its own: those of its datasets are read.
rule mix_manifests:
    input:
        member_manifests=of_members(ManifestFiles, "manifest"),
        member_actions=of_members(ManifestFiles, "actions", ancient),
    output:
        **outputs(ManifestFiles),
    log:
        ManifestFiles.log(),
    wildcard_constraints:
        dataset=of_kind("mixture"),
    conda:
        ENVIRONMENT
    params:
        *tracked("mix_manifests", project.mix, "dataset"),
        settings=settings_of("mix_manifests"),
    shell:
        command("mix_manifests")


rule mix_splits:
    input:
        manifest=ManifestFiles.below().manifest,
        actions=ancient(str(ManifestFiles.below().actions)),
        splits=of_members(SplitFiles, "split"),
    output:
        **outputs(SplitFiles),
    log:
        SplitFiles.log(),
    wildcard_constraints:
        dataset=of_kind("mixture"),
    conda:
        ENVIRONMENT
    params:
        *tracked("mix_splits", project.mix, "dataset"),
        settings=settings_of("mix_splits"),
    shell:
        command("mix_splits")
