# What is wrong or odd about the data. Only the report reads it, so rewording it trains nothing.
AUDIT = outputs(AuditFiles)


rule audit_dataset:
    input:
        frame_files,
        facts=of_episodes(EpisodeFiles.below().facts),
    output:
        **outputs(DataAuditFiles),
    log:
        DataAuditFiles.log(),
    wildcard_constraints:
        dataset=with_episodes(),
    conda:
        ENVIRONMENT
    params:
        *tracked("audit_data", audited_data, "dataset"),
        settings=settings_of("audit_data"),
    shell:
        command("audit_data")


# What the experiments ask of the data: another one checks no episode again.
rule audit_experiments:
    input:
        relative(template_file("audit")),
        relative(texts_file(project.report.language)),
        data=DataAuditFiles.below().data,
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
    wildcard_constraints:
        dataset=with_episodes(),
    conda:
        ENVIRONMENT
    params:
        *tracked("audit", project.audit, "dataset"),
        settings=settings_of("audit"),
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
    wildcard_constraints:
        dataset=with_episodes(),
    conda:
        ENVIRONMENT
    params:
        *tracked("flags", project.flags, "dataset"),
        settings=settings_of("flags"),
    shell:
        command("flags")


# The findings about all datasets that experiments use, once more and together, as the last job.
rule audit:
    input:
        reports=[str(AuditFiles.below(dataset=name).report) for name in project.used_datasets()],
    log:
        "results/logs/audit.log",
    localrule: True
    conda:
        ENVIRONMENT
    shell:
        command("show_findings")
