# Fine-tune Kosmos-2 into velocity policies, as config.yaml says, and compare them:
#
#     snakemake --cores 1 results/report.html    everything
#     snakemake -n                               what would run, and why
#     snakemake --cores 1 audit                  only look at the data
from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/library.smk"


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/simulator.smk"
include: "workflow/rules/lerobot.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/backbone.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/timing.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/rollout.smk"
include: "workflow/rules/language.smk"
include: "workflow/rules/latency.smk"
include: "workflow/rules/bundle.smk"
include: "workflow/rules/reporting.smk"


rule all:
    default_target: True
    input:
        "results/report.html",


complete_commands()
