# What jobs that run the model ask of the machine or the cluster.
def on_a_node(name):
    """Return how many processes of a training run on each node; here there is one."""
    training = project.experiments[name].training
    return training.processes // training.nodes if CLUSTER else training.processes


def training_threads(wildcards):
    """Return the threads of a training on each node."""
    name = wildcards.experiment
    return on_a_node(name) * project.experiments[name].training.threads


def model_threads(wildcards):
    """Return the threads of a job that runs an experiment's model in one process."""
    return project.experiments[wildcards.experiment].training.threads


def all_cores(needed):
    """Return the threads of a job that measures times: all cores, so that nothing runs beside it.

    On a cluster other jobs run on the node anyway, and it gets what it needs.
    """
    return needed if CLUSTER else lambda w: workflow.cores or 1


def launcher(wildcards):
    """Return what starts the library: in several processes torchrun, which takes options up to `--`."""
    name = wildcards.experiment
    training = project.experiments[name].training
    torchrun = f"python -m torch.distributed.run --nproc-per-node={on_a_node(name)}"
    if training.processes == 1:
        return "python -m mobile_vla"
    if training_nodes(wildcards) is None:
        return f"{torchrun} --standalone -m -- mobile_vla"
    nodes = training.nodes
    return (
        f"srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1"
        f" --cpus-per-task={training_threads(wildcards)} --kill-on-bad-exit=1"
        f" {torchrun} --nnodes={nodes} --rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID"
        " --rdzv-endpoint=$(hostname):$((20000 + SLURM_JOB_ID % 20000)) -m -- mobile_vla"
    )


def training_nodes(wildcards):
    """Return the nodes of a training that has several; None is no request at all."""
    nodes = project.experiments[wildcards.experiment].training.nodes
    return nodes if CLUSTER and nodes > 1 else None


def training_gpus(wildcards):
    """Return the GPUs that a training takes, on all nodes: one for each process."""
    processes = project.experiments[wildcards.experiment].training.processes
    return processes if GPUS or CLUSTER and CLUSTER_HAS_GPUS else 0


def on_several_nodes(value):
    """Return a resource that only a training on several nodes asks for."""
    return lambda wildcards: value if training_nodes(wildcards) else None


def backbone_file(wildcards):
    """Return the description of a job's backbone."""
    return placed(BackboneFiles.below(backbone=backbone_of(wildcards)).description)


def timing_file(wildcards):
    """Return the timing of a job's experiment."""
    return placed(TimingFiles.below(experiment=wildcards.experiment).timing)


def model_memory(wildcards, attempt):
    """Return the MB that a job asks a cluster for that runs the model."""
    return model_mb(backbone_file(wildcards), attempt)


def training_memory(wildcards, attempt):
    """Return the MB that a training asks a cluster for: by its timing, where that was made before."""
    node = on_a_node(wildcards.experiment)
    return training_mb(timing_file(wildcards), backbone_file(wildcards), node, attempt)


def training_time(wildcards, attempt):
    """Return the minutes that a training asks a cluster for, likewise."""
    return training_minutes(timing_file(wildcards), attempt)


training_resources = {
    "gpu": training_gpus,
    "mem_mb": training_memory,
    "memory_limit_gb": MEMORY_LIMIT_GB,
    "launcher": launcher,
    "nodes": training_nodes,
    "tasks": training_nodes,
    "mpi": on_several_nodes("srun"),
    "tasks_per_gpu": on_several_nodes(0),  # no request: Slurm's plugin would make one of `tasks`
}
