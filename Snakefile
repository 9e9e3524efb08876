# Fine-tune Kosmos-2 into velocity policies, as config.yaml says, and compare them:
#
#     snakemake --cores 1 results/report.html    everything
#     snakemake -n                               what would run, and why
#     snakemake --cores 1 audit                  only look at the data


include: "workflow/Snakefile"


# Of an included file Snakemake forgets it.
workflow.default_target = "all"
