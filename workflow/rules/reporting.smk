# The report: figures, tables and one page.
FIGURES = project.figures().figure_files(RESULTS)
TABLES = project.tables().table_files(RESULTS)
TEXTS = relative(texts_file(project.report.language))


rule figures:
    input:
        tracked_results(project.figures()),
        TEXTS,
        relative(texts_file("en")),
    output:
        report([files.svg for files in FIGURES], caption="../report/figure.rst", category="Figures"),
        [path for files in FIGURES for path in (files.pdf, files.png)],
        CaptionFiles.below().captions,
        provenance=FigureFiles.provenance(),
    log:
        FigureFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("figures", project.figures),
        settings=settings_of("figures"),
    shell:
        command("figures")


rule tables:
    input:
        tracked_results(project.tables()),
    output:
        report(
            [csv for csv, *latex in TABLES.values()],
            caption="../report/table.rst",
            category="Tables",
        ),
        [path for csv, *latex in TABLES.values() for path in latex],
        provenance=TableFiles.provenance(),
    log:
        TableFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("tables", project.tables),
        settings=settings_of("tables"),
    shell:
        command("tables")


# The model card of a run's best policy. Its policy's files are no part of it, nor it of their digests.
rule card:
    input:
        TEXTS,
        relative(texts_file("en")),
        policy=TrainingFiles.below().policy,
        metrics=TrainingFiles.below().metrics,
        results=TrainingFiles.below().results,
        backbone=lambda w: str(BackboneFiles.below(backbone=backbone_of(w)).description),
        evaluation=EvaluationFiles.below().evaluation,
        rollouts=rollout_file,
    output:
        **outputs(CardFiles),
    log:
        CardFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("card", project.card, "experiment", "run"),
        settings=settings_of("card"),
    shell:
        command("card")


# Tables and cards are made with the page, which does not read them.
rule page:
    input:
        tracked_results(project.page()),
        rules.tables.output,
        [ancient(str(CardFiles.below(**run.names()).card)) for run in project.page().runs],
        [relative(file) for file in template_files()],
        TEXTS,
    output:
        report(ReportFiles.below().report, caption="../report/page.rst", category="Report"),
        provenance=ReportFiles.provenance(),
    log:
        ReportFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("page", project.page),
        settings=settings_of("page"),
    shell:
        command("page")


# The report for an archive. It packs config.yaml as it is, which no other job reads.
rule crate:
    input:
        TEXTS,
        lambda w: tracked_results(project.crate({})),
        rules.page.output,
        rules.tables.output,
        [local(ancient(file)) for file in packed_episodes().values()],
        configuration=[str(file) for file in settings_files()],
        snakefile=local(os.path.relpath(HOME / "workflow/Snakefile")),
        license=local(os.path.relpath(HOME / "LICENSE")),
    output:
        **outputs(CrateFiles),
    log:
        CrateFiles.log(),
    conda:
        ENVIRONMENT
    params:
        *tracked("crate", packed),
        settings=settings_of("crate"),
    shell:
        command("crate")


# The page from the runs that finished, with the ends of the others' logs. It has no input and no
# output, so that it is made whenever it is called for, and never anything else.
rule partial_report:
    log:
        PartialFiles.log(),
    conda:
        ENVIRONMENT
    params:
        settings=lambda w: project.partial_report().canonical(),
    shell:
        command("partial_report")
