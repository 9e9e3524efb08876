# What is wrong or odd about the data. Only the report reads it, so rewording it trains nothing.
AUDIT = outputs(AuditFiles)


rule audit_dataset:
    input:
        frame_files,
        relative(template_file("audit")),
        facts=of_episodes(EpisodeFiles.below().facts),
    output:
        report=AUDIT["report"],
        page=report(
            AUDIT["page"],
            caption="../report/audit.rst",
            category="Audits",
            labels={"dataset": "{dataset}"},
        ),
        provenance=AUDIT["provenance"],
    log:
        AuditFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("audit"),
        settings=lambda w: project.audit(w.dataset, files_left_out(w.dataset)).canonical(),
    shell:
        command("audit")


# Which episodes have warnings: made for, and read by, the manifest of a dataset that leaves them out.
rule flags:
    input:
        facts=of_episodes(EpisodeFiles.below().facts),
    output:
        **outputs(FlagFiles),
    log:
        FlagFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("flags"),
        settings=lambda w: project.flags(w.dataset).canonical(),
    shell:
        command("flags")


rule audit:
    input:
        expand(AUDIT["page"], dataset=project.datasets),
