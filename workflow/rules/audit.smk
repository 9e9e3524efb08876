# What is wrong or odd about the data. Only the report reads it, so rewording it trains nothing.
rule audit_dataset:
    input:
        facts=of_episodes("results/datasets/{dataset}/episodes/{episode}.json"),
        frames=frame_files,
    output:
        report="results/datasets/{dataset}/audit.json",
        page=report(
            "results/datasets/{dataset}/audit.html",
            caption="../report/audit.rst",
            category="Audits",
            labels={"dataset": "{dataset}"},
        ),
        provenance="results/datasets/{dataset}/audit.provenance.json",
    log:
        "results/logs/audit/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("audit"),
        settings=lambda w: project.audit(w.dataset).canonical(),
    shell:
        "python -m mobile_vla audit --settings {params.settings:q} --facts {input.facts:q}"
        " --report {output.report:q} --page {output.page:q}"
        " --record {output.provenance:q} --log {log:q}"


# Which episodes have warnings: made for, and read by, the manifest of a dataset that leaves them out.
rule flags:
    input:
        facts=of_episodes("results/datasets/{dataset}/episodes/{episode}.json"),
    output:
        flags="results/datasets/{dataset}/flags.json",
        provenance="results/datasets/{dataset}/flags.provenance.json",
    log:
        "results/logs/flags/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("flags"),
        settings=lambda w: project.flags(w.dataset).canonical(),
    shell:
        "python -m mobile_vla flags --settings {params.settings:q} --facts {input.facts:q}"
        " --flags {output.flags:q} --record {output.provenance:q} --log {log:q}"


rule audit:
    input:
        expand("results/datasets/{dataset}/audit.html", dataset=project.datasets),
