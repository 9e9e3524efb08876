# Simulated datasets: each episode is a job of its own, so that a growing dataset keeps what it has.
rule simulate:
    output:
        raw="results/datasets/{dataset}/raw/{episode}.h5",
        digest="results/datasets/{dataset}/raw/{episode}.json",
        provenance="results/datasets/{dataset}/raw/{episode}.provenance.json",
    log:
        "results/logs/simulate/{dataset}/{episode}.log",
    wildcard_constraints:
        dataset=of_kind("simulated"),
    conda:
        ENVIRONMENT
    params:
        *tracked("simulate"),
        settings=lambda w: simulated(w.dataset)[w.episode].canonical(),
    shell:
        "python -m mobile_vla simulate --settings {params.settings:q} --raw {output.raw:q}"
        " --digest {output.digest:q} --record {output.provenance:q} --log {log:q}"
