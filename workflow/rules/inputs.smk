# Which files, parameters and resources a rule takes where that depends on the settings.
def raw_inputs(wildcards):
    """Return the raw file that is made here; a recorded one is no input, but a param.

    A recorded file may be missing, unreadable or a broken link. As an input it would stop
    Snakemake before any audit could say so.
    """
    if project.datasets[wildcards.dataset].kind == "recorded":
        return []
    raw = f"results/datasets/{wildcards.dataset}/raw/{wildcards.episode}"
    return [ancient(f"{raw}.h5"), f"{raw}.json"]


def raw_path(wildcards):
    """Return where an episode's raw file lies."""
    if project.datasets[wildcards.dataset].kind == "recorded":
        return str(recorded(wildcards.dataset)[wildcards.episode][0])
    return f"results/datasets/{wildcards.dataset}/raw/{wildcards.episode}.h5"


def raw_content(wildcards):
    """Return the identity of a recorded file's bytes; that of one made here stands in its JSON."""
    if project.datasets[wildcards.dataset].kind == "recorded":
        return recorded(wildcards.dataset)[wildcards.episode][1]
    return ""


def frame_files(wildcards):
    """Return the frames of all episodes, which their facts describe."""
    frames = of_episodes("results/datasets/{dataset}/episodes/{episode}.npy")
    return [ancient(file) for file in frames(wildcards)]


def flag_file(wildcards):
    """Return the list of episodes with warnings, where such episodes are left out."""
    if project.datasets[wildcards.dataset].on_warning == "keep":
        return []
    return f"results/datasets/{wildcards.dataset}/flags.json"


def pretrained_content(wildcards):
    """Return the identity of a local checkpoint's bytes; a hub's is its revision."""
    backbone = project.backbones[wildcards.backbone]
    folder = Path(backbone.checkpoint).expanduser()
    if backbone.revision is not None or not folder.is_dir():
        return []
    ids = content_ids(checkpoint_files(folder), CONTENT_CACHE)
    return [f"{path.name} {identity}" for path, identity in ids.items()]


def backbones(random):
    """Return a pattern of the backbones whose weights are, or are not, drawn here."""
    return one_of(name for name in project.backbones if project.is_random(name) == random)


def backbone_files(name):
    """Return a backbone's description and, as `ancient`, the weights that it describes.

    So it is with every large file: the small JSON that says its SHA-256 is the input that counts.
    A touch of gigabytes reruns nothing, and a change of one byte reruns everything.
    """
    folder = f"results/backbones/{name}"
    weights = [ancient(f"{folder}/model.safetensors")] if project.is_random(name) else []
    return {"backbone": f"{folder}/backbone.json", "weights": weights}


def dataset_files(name):
    """Return a dataset's manifest and actions.

    The frames come with the manifest, which is made after all of them and holds their digests:
    listed one by one in each job's inputs, those of 1,000 episodes would bury every plan.
    """
    folder = f"results/datasets/{name}"
    return {"manifest": f"{folder}/manifest.json", "actions": ancient(f"{folder}/actions.npy")}


def experiment_files(name):
    """Return what every stage of an experiment reads: data, split, backbone and features."""
    experiment = project.experiments[name]
    return {
        **dataset_files(experiment.dataset),
        **backbone_files(experiment.backbone),
        **feature_files(name, experiment.dataset),
        "split": f"results/datasets/{experiment.dataset}/split.json",
    }


def policy_files(name, run):
    """Return what a test of a run's policy by its behaviour reads: no features, but frames."""
    experiment = project.experiments[name]
    return {
        **dataset_files(experiment.dataset),
        **backbone_files(experiment.backbone),
        "split": f"results/datasets/{experiment.dataset}/split.json",
        "policy": f"results/experiments/{name}/{run}/policy/policy.json",
    }


def language_files(name, run):
    """Return what the language test reads: features too, where they hold no prompt yet."""
    found = feature_files(name, project.experiments[name].dataset)
    if project.feature_key(name).cut == "readout":
        found = {"features": [], "stored": []}
    return {**policy_files(name, run), **found}


def training_files(name):
    """Return what training and timing read: where it is wanted, the mirror images too."""
    experiment = project.experiments[name]
    found = {"features": [], "stored": []}
    if experiment.augment.mirror:
        found = feature_files(name, experiment.dataset, "mirrored")
    mirrored = {"mirrored": found["features"], "mirrored_stored": found["stored"]}
    return {**experiment_files(name), **mirrored}


def feature_files(name, dataset, view="plain"):
    """Return the features of a dataset that an experiment reads; at ``pixels`` there are none."""
    key = project.feature_key(name, view)
    if key.cut == "pixels":  # there the frames themselves are read
        return {"features": [], "stored": []}
    folder = f"results/features/{dataset}/{project.experiments[name].backbone}"
    return {
        "features": f"{folder}/{key.cut}-{key.key}.json",
        "stored": ancient(f"{folder}/{key.cut}-{key.key}.npy"),
    }


def scored_elsewhere():
    """Return a pattern of the experiments with `evaluate_on`, each followed by one of its datasets.

    What config.yaml does not name is not made, and so it is with what it does not pair.
    """
    patterns = [
        f"{re.escape(name)}(?=/[^/]+/on/(?:{one_of(experiment.evaluate_on)})/)"
        for name, experiment in project.experiments.items()
        if experiment.evaluate_on
    ]
    return "|".join(patterns) or "(?!)"


def other_files(name, dataset):
    """Return what the scores on another dataset are made from: it, and what the policy has seen."""
    other, features = dataset_files(dataset), feature_files(name, dataset)
    return {
        **experiment_files(name),
        "on_features": features["features"],
        "on_stored": features["stored"],
        "on_manifest": other["manifest"],
        "on_actions": other["actions"],
        "on_split": f"results/datasets/{dataset}/split.json",
    }


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
    """Return the description of the backbone that a job runs, be it there already or not."""
    name = wildcards.get("backbone") or project.experiments[wildcards.experiment].backbone
    return Path(f"results/backbones/{name}/backbone.json")


def timing_file(wildcards):
    """Return an experiment's timing, be it there already or not."""
    return Path(f"results/experiments/{wildcards.experiment}/timing.json")


def model_memory(wildcards, attempt):
    """Return the MB that a job asks a cluster for that runs the model."""
    return model_mb(backbone_file(wildcards), attempt)


def training_memory(wildcards, attempt):
    """Return the MB that a training asks a cluster for: by its timing, where that was made before."""
    processes = on_a_node(wildcards.experiment)
    return training_mb(timing_file(wildcards), backbone_file(wildcards), processes, attempt)


def training_time(wildcards, attempt):
    """Return the minutes that a training asks a cluster for, likewise."""
    return training_minutes(timing_file(wildcards), attempt)


def start_policy(wildcards):
    """Return the policy that a run starts from, where its experiment names one."""
    start = project.experiments[wildcards.experiment].training.init_from
    if start is None:
        return []
    return f"results/experiments/{start}/{wildcards.run}/policy/policy.json"


def provenance_files(wildcards):
    """Return the provenance of every result that the report quotes."""
    reported = project.reported_experiments()
    used = {experiment.backbone: None for experiment in reported.values()}
    features = [
        f"results/features/{dataset}/{backbone}/{cut}-{key}.provenance.json"
        for dataset, backbone, cut, key in project.feature_keys(reported)
    ]
    return [
        *of_datasets("results/datasets/{dataset}/manifest.provenance.json"),
        *of_datasets("results/datasets/{dataset}/split.provenance.json"),
        *of_datasets("results/datasets/{dataset}/audit.provenance.json"),
        *[f"results/backbones/{name}/backbone.provenance.json" for name in used],
        *features,
        *of_runs("results/experiments/{experiment}/{run}/training.provenance.json"),
        *of_experiments("results/experiments/{experiment}/timing.provenance.json"),
        *of_runs("results/experiments/{experiment}/{run}/language.provenance.json"),
        *of_experiments("results/experiments/{experiment}/latency.provenance.json"),
        *of_rolled_out("results/experiments/{experiment}/{run}/rollouts.provenance.json"),
        *of_runs("results/experiments/{experiment}/{run}/evaluation.provenance.json"),
        *of_scores(
            "results/experiments/{experiment}/{run}/on/{dataset}/evaluation.provenance.json"
        ),
        "results/comparison.provenance.json",
        "results/figures/figures.provenance.json",
        "results/tables/tables.provenance.json",
    ]
