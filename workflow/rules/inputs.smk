# What the stages of a run read. A file that is named becomes an option of the command; one that is
# not, such as weights that a JSON beside them describes, is only tracked.
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
    """Return the features of a dataset that an experiment reads; None where it reads frames."""
    key = project.feature_key(name, view)
    if key.cut == "pixels":
        return None
    backbone = project.experiments[name].backbone
    return FeatureFiles.below(dataset=dataset, backbone=backbone, cut=key.cut, key=key.key)


def described(files):
    """Return the description of features, if there are any."""
    return [] if files is None else str(files.description)


def stored(files):
    """Return the features that are described."""
    return [] if files is None else [ancient(str(files.features))]


def run_feature_files(wildcards):
    """Return the features that every stage of a run reads."""
    return feature_files(wildcards.experiment, dataset_of(wildcards))


def mirrored_feature_files(wildcards):
    """Return the mirror images' features, where an experiment learns from them."""
    if not project.experiments[wildcards.experiment].augment.mirror:
        return None
    return feature_files(wildcards.experiment, dataset_of(wildcards), "mirrored")


def run_stored(wildcards):
    """Return the large files that a run's descriptions describe."""
    weights = backbone_weights(backbone_of(wildcards))
    return [*weights, *stored(run_feature_files(wildcards))]


def training_stored(wildcards):
    """Return the same for a training."""
    return [*run_stored(wildcards), *stored(mirrored_feature_files(wildcards))]


def other_stored(wildcards):
    """Return the features of another dataset that a run is scored on."""
    return stored(feature_files(wildcards.experiment, wildcards.dataset))


def start_policy(wildcards):
    """Return the policy that a run starts from, where its experiment names one."""
    start = project.experiments[wildcards.experiment].training.init_from
    if start is None:
        return []
    return str(TrainingFiles.below(experiment=start, run=wildcards.run).policy)


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
