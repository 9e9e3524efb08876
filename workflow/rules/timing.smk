# Seconds of an epoch, from a few real steps. It takes all cores, so that nothing runs beside it.
TIMING = outputs(TimingFiles)


rule timing:
    input:
        training_stored,
        relative(template_file("timing")),
        **training_inputs,
    output:
        timing=TIMING["timing"],
        page=report(
            TIMING["page"],
            caption="../report/timing.rst",
            category="Timing",
            labels={"experiment": "{experiment}"},
        ),
        provenance=TIMING["provenance"],
    log:
        TimingFiles.log(),
    conda:
        ENVIRONMENT
    threads: all_cores(training_threads)
    resources:
        **training_resources,
    params:
        *tracked("timing", project.timing, "experiment"),
        settings=settings_of("timing"),
        checkpoint=checkpoint_folder,
        raw_folder=raw_folder,
    shell:
        command("timing")
