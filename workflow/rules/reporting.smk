# The report: figures, tables and one page. Settings come on standard input, because those of many
# experiments are longer than one argument of a command may be.
ELSEWHERE = ["results/tables/elsewhere.csv"] if list(project.scores()) else []

SWEEPS = ["results/tables/sweeps.csv"] if project.reported_sweeps() else []

RUN_FILES = {
    "metrics": of_runs("results/experiments/{experiment}/{run}/metrics.csv"),
    "results": of_runs("results/experiments/{experiment}/{run}/training_results.json"),
    "evaluations": of_runs("results/experiments/{experiment}/{run}/evaluation.json"),
    "elsewhere": of_scores("results/experiments/{experiment}/{run}/on/{dataset}/evaluation.json"),
    "languages": of_runs("results/experiments/{experiment}/{run}/language.json"),
    "latencies": of_experiments("results/experiments/{experiment}/latency.json"),
    "rollouts": of_rolled_out("results/experiments/{experiment}/{run}/rollouts.json"),
    "timings": of_experiments("results/experiments/{experiment}/timing.json"),
}


DATA_FILES = {
    "manifests": of_datasets("results/datasets/{dataset}/manifest.json"),
    "splits": of_datasets("results/datasets/{dataset}/split.json"),
    "audits": of_datasets("results/datasets/{dataset}/audit.json"),
}
FIGURES = expand("results/figures/{name}.svg", name=project.figures())
TEXTS = f"workflow/report/texts/{project.report.language}.yaml"
SECTIONS = [
    *["summary", "data", "experiments", "training", "evaluation", "cost", "provenance"],
]
TEMPLATES = [
    *["workflow/report/page/page.html.j2", "workflow/report/page/macros.html.j2"],
    *["workflow/report/page/style.css", "workflow/report/page/script.js"],
    *expand("workflow/report/page/{section}.html.j2", section=SECTIONS),
]


rule figures:
    input:
        **RUN_FILES,
        **DATA_FILES,
        comparison="results/comparison.json",
        actions=[ancient(file) for file in of_datasets("results/datasets/{dataset}/actions.npy")],
        predictions=[
            ancient(file)
            for file in of_runs("results/experiments/{experiment}/{run}/predictions.npz")
        ],
        paths=[
            ancient(file)
            for file in of_rolled_out("results/experiments/{experiment}/{run}/rollouts.npz")
        ],
        texts=TEXTS,
        labels="workflow/report/texts/en.yaml",
    output:
        drawings=report(FIGURES, caption="../report/figure.rst", category="Figures"),
        copies=expand("results/figures/{name}.{kind}", name=project.figures(), kind=["pdf", "png"]),
        captions="results/figures/captions.json",
        provenance="results/figures/figures.provenance.json",
    log:
        "results/logs/figures.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("figures"),
        settings=lambda w: project.reported().canonical(),
    shell:
        "python -m mobile_vla figures --settings - --manifests {input.manifests:q}"
        " --actions {input.actions:q} --splits {input.splits:q} --audits {input.audits:q}"
        " --metrics {input.metrics:q} --results {input.results:q}"
        " --evaluations {input.evaluations:q} --elsewhere {input.elsewhere:q}"
        " --predictions {input.predictions:q} --comparison {input.comparison:q}"
        " --timings {input.timings:q} --languages {input.languages:q}"
        " --latencies {input.latencies:q} --rollouts {input.rollouts:q} --paths {input.paths:q}"
        " --texts {input.texts:q} --labels {input.labels:q}"
        " --drawings {output.drawings:q} --captions {output.captions:q}"
        " --record {output.provenance:q} --log {log:q} <<'SETTINGS'\n{params.settings}\nSETTINGS\n"


rule tables:
    input:
        **RUN_FILES,
        comparison="results/comparison.json",
    output:
        experiments=table("experiments"),
        epochs=table("epochs"),
        errors=table("errors"),
        verdicts=table("verdicts"),
        pairs=table("pairs"),
        by_step=table("by_step"),
        by_cell=table("by_cell"),
        by_part=table("by_part"),
        scores=ELSEWHERE,
        sweeps=SWEEPS,
        latex=expand(
            "results/tables/{name}.tex",
            name=["verdicts", "pairs", "by_step", "by_cell", "by_part"],
        ),
        provenance="results/tables/tables.provenance.json",
    log:
        "results/logs/tables.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("tables"),
        settings=lambda w: project.reported().canonical(),
    shell:
        "python -m mobile_vla tables --settings - --metrics {input.metrics:q}"
        " --results {input.results:q} --evaluations {input.evaluations:q}"
        " --elsewhere {input.elsewhere:q} --timings {input.timings:q} --experiments {output.experiments:q}"
        " --languages {input.languages:q} --latencies {input.latencies:q}"
        " --rollouts {input.rollouts:q}"
        " --epochs {output.epochs:q} --errors {output.errors:q} --scores {output.scores:q}"
        " --sweeps {output.sweeps:q}"
        " --comparison {input.comparison:q} --verdicts {output.verdicts:q} --pairs {output.pairs:q}"
        " --by-step {output.by_step:q} --by-cell {output.by_cell:q} --by-part {output.by_part:q}"
        " --record {output.provenance:q} --log {log:q} <<'SETTINGS'\n{params.settings}\nSETTINGS\n"


rule page:
    input:
        **RUN_FILES,
        **DATA_FILES,
        comparison="results/comparison.json",
        provenance=provenance_files,
        figures=FIGURES,
        captions="results/figures/captions.json",
        tables=rules.tables.output,
        templates=TEMPLATES,
        texts=TEXTS,
    output:
        report=report("results/report.html", caption="../report/page.rst", category="Report"),
        provenance="results/report.provenance.json",
    log:
        "results/logs/page.log",
    conda:
        ENVIRONMENT
    params:
        *tracked("page"),
        settings=lambda w: project.reported().canonical(),
    shell:
        "python -m mobile_vla page --settings - --manifests {input.manifests:q} --splits {input.splits:q}"
        " --audits {input.audits:q} --metrics {input.metrics:q} --results {input.results:q}"
        " --evaluations {input.evaluations:q} --elsewhere {input.elsewhere:q}"
        " --comparison {input.comparison:q} --timings {input.timings:q}"
        " --languages {input.languages:q} --latencies {input.latencies:q}"
        " --rollouts {input.rollouts:q}"
        " --provenance {input.provenance:q} --figures {input.figures:q}"
        " --captions {input.captions:q} --templates {input.templates:q} --texts {input.texts:q}"
        " --report {output.report:q}"
        " --record {output.provenance:q} --log {log:q} <<'SETTINGS'\n{params.settings}\nSETTINGS\n"


# The page from the runs that finished, with the ends of the others' logs. It has no input and no output
# of its own, so that asking for it always makes it, and never anything else.
rule partial_report:
    input:
        templates=TEMPLATES,
        texts=TEXTS,
        labels="workflow/report/texts/en.yaml",
    log:
        "results/logs/partial_report.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda w: project.partly_reported().canonical(),
    shell:
        "python -m mobile_vla partial_report --settings - --results results"
        " --templates {input.templates:q} --texts {input.texts:q} --labels {input.labels:q}"
        " --report results/partial/report.html --log {log:q}"
        " <<'SETTINGS'\n{params.settings}\nSETTINGS\n"
