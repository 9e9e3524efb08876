# From raw episodes to frames and facts.
def raw_inputs(wildcards):
    """Return the raw file that is made here; a recorded one is no input, but a param.

    A recorded file may be missing, unreadable or a broken link. As an input it would stop
    Snakemake before any audit could say so.
    """
    if project.datasets[wildcards.dataset].kind == "recorded":
        return []
    made = RawFiles.below(**wildcards)
    return [ancient(str(made.raw)), str(made.digest)]


def raw_path(wildcards):
    """Return where an episode's raw file lies."""
    if project.datasets[wildcards.dataset].kind == "recorded":
        return str(recorded(wildcards.dataset)[wildcards.episode][0])
    return str(RawFiles.below(**wildcards).raw)


def raw_content(wildcards):
    """Return the identity of a recorded file's bytes; that of one made here stands in its JSON."""
    if project.datasets[wildcards.dataset].kind == "recorded":
        return recorded(wildcards.dataset)[wildcards.episode][1]
    return ""


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
