# What Snakemake (9.27) costs beside its jobs. Where another workflow has these rules as a module its own
# `onstart` is called, and neither is changed here.
import gc

# A plan's objects live as long as the plan: to search them for garbage again and again took an eighth
# of the time with 1,000 experiments.
if workflow.modifier.is_main_snakefile():
    gc.disable()

# So many of the jobs that wait are looked at when one has ended, chosen at random: more than
# the queue of the Slurm profile holds. With 4,000 of them each look took a quarter of a second.
LOOKED_AT = 200


# For its limit of 100 jobs a second, which no run comes near, it starts a timer at each look, and the
# timer looks again: with 433 jobs that took 125 s of a core, and the jobs 250. What the user gives holds.
onstart:
    gc.enable()
    scheduler = workflow.scheduler
    limit = scheduler.job_rate_limiter
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        scheduler.job_rate_limiter = None
    if scheduler.subsample is None:
        scheduler.subsample = LOOKED_AT
