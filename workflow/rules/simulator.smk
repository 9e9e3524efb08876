# Simulated datasets: each episode is a job of its own, so that a growing dataset keeps what it has.
rule simulate:
    output:
        **outputs(RawFiles),
    log:
        RawFiles.log(),
    wildcard_constraints:
        dataset=of_kind("simulated"),
    conda:
        ENVIRONMENT
    params:
        *tracked("simulate", simulated_episode, "dataset", "episode"),
        settings=settings_of("simulate"),
    shell:
        command("simulate")
