# What the stages read. A file that is named becomes an option of the command; one that is not, such
# as weights that a JSON beside them describes, is only tracked.
from mobile_vla.config.features import AFTER_PROMPT
from mobile_vla.config.reporting import CrateSettings


def raw_inputs(wildcards):
    """Return the raw file that is made here; a recorded one is no input, but a param.

    A recorded file may be missing, unreadable or a broken link. As an input it would stop
    Snakemake before any audit could say so.
    """
    if project.datasets[wildcards.dataset].kind == "recorded":
        return []
    made = RawFiles.below(**wildcards)
    return [ancient(str(made.raw)), str(made.digest)]


def raw_path(wildcards):
    """Return where an episode's raw file lies: a recorded one below the dataset's folder."""
    name = wildcards.dataset
    if project.datasets[name].kind == "recorded":
        folder = Path(project.dataset_folder(name)).expanduser()
        return str(recorded(name)[wildcards.episode].file.relative_to(folder))
    return str(placed(RawFiles.below(**wildcards).raw))


# Where folders from outside lie. No result depends on it, so it must rerun nothing: what a function
# with `output` returns is no reason for a rerun.
def raw_folder(wildcards, output):
    """Return the folder of a job's recorded episodes, or of a dataset of videos."""
    name = wildcards.get("dataset") or dataset_of(wildcards)
    if project.datasets[name].kind != "recorded" and not in_videos(name):
        return []
    return str(Path(project.datasets[name].path).expanduser())


def in_place(*files):
    """Return the places of files from outside as a job is given them: no reason for a rerun."""
    return lambda w, output: [str(file) for file in files]


def checkpoint_folder(wildcards, output):
    """Return the folder of a job's backbone, if it is a local checkpoint."""
    folder = project.checkpoint_folder(backbone_of(wildcards))
    return [] if folder is None else str(Path(folder).expanduser())


def raw_content(wildcards):
    """Return the identity of a recorded episode's bytes; that of one made here is in its JSON."""
    if project.datasets[wildcards.dataset].kind == "recorded":
        return recorded(wildcards.dataset)[wildcards.episode].content
    return ""


def frame_files(wildcards):
    """Return the frames of all episodes, which their facts describe."""
    return [ancient(file) for file in of_episodes(EpisodeFiles.below().frames)(wildcards)]


def flag_file(wildcards):
    """Return the list of episodes with warnings, where such episodes are left out."""
    if project.datasets[wildcards.dataset].on_warning == "keep":
        return []
    return str(FlagFiles.below(**wildcards).flags)


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


def dataset_of(wildcards):
    """Return the name of an experiment's dataset."""
    return project.experiments[wildcards.experiment].dataset


def backbone_of(wildcards):
    """Return the name of the backbone that a job runs."""
    return wildcards.get("backbone") or project.experiments[wildcards.experiment].backbone


def backbone_weights(name):
    """Return the weights that a backbone's description describes, as `ancient`.

    So it is with every large file: the small JSON that says its SHA-256 is the input that counts.
    A touch of gigabytes reruns nothing, and a change of one byte reruns everything.
    """
    return [ancient(BackboneFiles.weights(backbone=name))] if project.is_random(name) else []


def feature_files(name, dataset, view="plain"):
    """Return the features of a dataset that an experiment reads; none where it reads frames.

    Of a mixture they are those of its datasets, which experiments on one of them read, too.
    """
    backbone = project.experiments[name].backbone
    keys = {own: project.feature_key(name, view, own) for own in project.members(dataset)}
    return [
        FeatureFiles.below(dataset=own, backbone=backbone, cut=key.cut, key=key.key)
        for own, key in keys.items()
        if key.cut != "pixels"
    ]


def described(files):
    """Return the descriptions of features."""
    return [str(each.description) for each in files]


def stored(files):
    """Return the features that are described."""
    return [ancient(str(each.features)) for each in files]


def of_members(kind, field, marked=str):
    """Return an input function that lists a file of each of a mixture's datasets."""
    return lambda w: [
        marked(str(getattr(kind.below(dataset=name), field))) for name in project.members(w.dataset)
    ]


def run_feature_files(wildcards):
    """Return the features that every stage of a run reads."""
    return feature_files(wildcards.experiment, dataset_of(wildcards))


def mirrored_feature_files(wildcards):
    """Return the mirror images' features, where an experiment learns from them."""
    if not project.experiments[wildcards.experiment].augment.mirror:
        return []
    return feature_files(wildcards.experiment, dataset_of(wildcards), "mirrored")


def run_stored(wildcards):
    """Return the large files that a run's descriptions describe."""
    weights = backbone_weights(backbone_of(wildcards))
    return [*weights, *stored(run_feature_files(wildcards))]


def training_stored(wildcards):
    """Return the same for a training."""
    return [*run_stored(wildcards), *stored(mirrored_feature_files(wildcards))]


def possible_prompts(wildcards):
    """Refuse to plan a training on a LeRobotDataset whose names and tasks lack what prompts need.

    All experiments on it are looked at. It reads no file for that.
    """
    experiment = project.experiments[wildcards.experiment]
    for name in (*project.members(experiment.dataset), *experiment.evaluate_on):
        if project.datasets[name].kind == "lerobot":
            asked = {
                other: project.policy(other).prompt_of(name)
                for other, one in project.experiments.items()
                if name in (*project.members(one.dataset), *one.evaluate_on)
            }
            with mistakes_without_traceback():
                check_prompts(name, imported(name), asked, source)
    return []


def least_memory(wildcards):
    """Refuse to plan a training that cannot fit into the memory limit; it reads no file for that.

    Where a result is there it was trained on a machine with more memory, and is not trained again.
    """
    name, run, limit = wildcards.experiment, wildcards.run, project.memory_limit_gb
    results = placed(TrainingFiles.below(experiment=name, run=run).results)
    if limit is not None and not results.exists():
        backbone = project.backbones[project.experiments[name].backbone]
        with mistakes_without_traceback():
            check_least_memory(project.train(name, run), backbone, limit, source)
    return []


def bundle_packages(wildcards):
    """Refuse to plan a bundle without the packages that export it; it reads no file for that."""
    if not CONDA:
        with mistakes_without_traceback():
            check_packages(wildcards.experiment, source)
    return []


def exported(wildcards):
    """Return the names of a run's bundle in fp32."""
    return {**wildcards, "precision": "fp32"}


def bundle_files(names):
    """Return the files of a bundle that its `bundle.json` describes."""
    files = BundleFiles.below(**names)
    return [ancient(str(path)) for path in files.listed() if path != files.description]


def other_stored(wildcards):
    """Return the features of another dataset that a run is scored on."""
    return stored(feature_files(wildcards.experiment, wildcards.dataset))


def promptless_features(wildcards):
    """Return an experiment's features where they hold no prompt; others have read the right one."""
    if project.policy(wildcards.experiment).cut in AFTER_PROMPT:
        return []
    return run_feature_files(wildcards)


def rollout_file(wildcards):
    """Return a run's results in closed loop, where its dataset's world is known."""
    if not project.worlds(project.experiments[wildcards.experiment].dataset):
        return []
    return str(RolloutFiles.below(**wildcards).rollouts)


def start_policy(wildcards):
    """Return the policy that a run starts from, where its experiment names one."""
    start = project.experiments[wildcards.experiment].training.init_from
    if start is None:
        return []
    return str(TrainingFiles.below(experiment=start, run=wildcards.run).policy)


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


def mixed():
    """Return a pattern of the experiments on mixtures, each followed by one of its datasets."""
    patterns = [
        f"{re.escape(name)}(?=/[^/]+/on/(?:{one_of(project.members(experiment.dataset))})/)"
        for name, experiment in project.experiments.items()
        if project.is_mixture(experiment.dataset)
    ]
    return "|".join(patterns) or "(?!)"


def dataset_inputs(prefix, dataset):
    """Return what is read of a dataset, each as an input function.

    The frames come with the manifest, which is made after all of them and holds their digests:
    listed one by one in each job's inputs, those of 1,000 episodes would bury every plan.
    """
    return {
        f"{prefix}manifest": lambda w: str(ManifestFiles.below(dataset=dataset(w)).manifest),
        f"{prefix}actions": lambda w: ancient(str(ManifestFiles.below(dataset=dataset(w)).actions)),
        f"{prefix}split": lambda w: str(SplitFiles.below(dataset=dataset(w)).split),
    }


# What a test of a policy by its behaviour reads: no features, but frames.
behaviour_inputs = {
    **dataset_inputs("", dataset_of),
    "backbone": lambda w: str(BackboneFiles.below(backbone=backbone_of(w)).description),
}
run_inputs = {**behaviour_inputs, "features": lambda w: described(run_feature_files(w))}
training_inputs = {**run_inputs, "mirrored": lambda w: described(mirrored_feature_files(w))}
other_inputs = {
    **dataset_inputs("on_", lambda w: w.dataset),
    "on_features": lambda w: described(feature_files(w.experiment, w.dataset)),
}


def trial_policies(wildcards):
    """Return the policies of a trial, as they are today."""
    runs = (policy.split("/") for policy in project.trials[wildcards.trial].policies)
    return [str(TrainingFiles.below(experiment=name, run=run).policy) for name, run in runs]


def trial_content(wildcards):
    """Return the identity of the bytes of a trial's files, which people make and no rule."""
    ids = content_ids([TRIALS / wildcards.trial / name for name in TRACKED], CONTENT_CACHE)
    return [f"{path.name} {identity}" for path, identity in ids.items()]


def packed_episodes():
    """Return the raw files that are packed with the report, by their names there."""
    files = {}
    for name in project.used_datasets() if project.report.crate == "episodes" else ():
        if project.datasets[name].kind == "recorded":
            folder = Path(project.dataset_folder(name)).expanduser()
            raw = {own.file.relative_to(folder): own.file for own in recorded(name).values()}
        elif in_videos(name):
            folder = Path(project.datasets[name].path).expanduser()
            raw = {file.relative_to(folder): file for file in imported_files(name)}
        else:
            made = [RawFiles.below(dataset=name, episode=one).raw for one in episodes(name)]
            raw = {file.name: placed(file) for file in made}
        files.update({f"raw/{name}/{inside}": str(file) for inside, file in raw.items()})
    return dict(sorted(files.items()))


def packed() -> CrateSettings:
    """Return what is packed."""
    return project.crate(packed_episodes())


def settings_files():
    """Return the configuration's files; a module is given its configuration without any."""
    return [] if MODIFIER.skip_configfile else [f for f in configuration_files() if f.is_file()]
