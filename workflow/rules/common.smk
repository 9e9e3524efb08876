# What the rules of all stages share: the project's settings, where things lie, and what is tracked.
#
# A job reads its inputs, its params and the library, and nothing else. Its settings are one JSON
# text, and the code and versions that it depends on stand beside it: Snakemake compares both with
# those of the last run, which is how an edit reaches exactly the jobs that it concerns.
import inspect
import re
import shlex
from functools import cache, lru_cache

from snakemake.common import overwrite_function_params
from snakemake.settings.types import DeploymentMethod

from mobile_vla.cluster_resources import model_mb, training_mb, training_minutes
from mobile_vla.backbone.local import check_folder
from mobile_vla.backbone.result import checkpoint_files
from mobile_vla.bundle.packages import check_packages
from mobile_vla.config.audit import DataAuditSettings
from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.ingest import IngestSettings
from mobile_vla.config.lerobot import ImportSettings, VideoSettings
from mobile_vla.config.reasons import setting_line, setting_names, settings_made_by
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.ingest.recorded import left_out, recorded_episodes, recorded_files
from mobile_vla.least_memory import check_least_memory
from mobile_vla.errors import UserError, first_of
from mobile_vla.files import canonical_json
from mobile_vla.gpus import visible
from mobile_vla.layout import *  # a class for the files of each command
from mobile_vla.lerobot.listing import lerobot_episodes, video_jobs
from mobile_vla.lerobot.prompts import check_prompts
from mobile_vla.provenance.code import chosen_modules, code_of
from mobile_vla.provenance.content import content_ids
from mobile_vla.reporting.page_files import template_files
from mobile_vla.templates import FOLDER as SOURCES, template_file
from mobile_vla.texts import texts_file
from mobile_vla.trials.files import FOLDER as TRIALS, TRACKED
from mobile_vla.commands import STAGES


def unfilled(text):
    """Return a text so that Snakemake, which fills in what stands in braces, leaves it as it is."""
    return str(text).replace("{", "{{").replace("}", "}}")


MODIFIER = workflow.modifier


def placed(path):
    """Return where a file is that rules make: in a module with a prefix, below that.

    Snakemake does so for inputs, outputs and logs; params and what is looked at here need it.
    """
    return Path(str(MODIFIER.modify_path(str(path))))


ENVIRONMENT = unfilled(HOME / "envs/mobile-vla.yaml")
CONTENT_CACHE = placed(RESULTS / ".cache/content.json")


@cache
def files_of(dataset):
    """Return the files of a recorded dataset by name."""
    with mistakes_without_traceback():
        return recorded_files(dataset, project.datasets[dataset], source)


@cache
def recorded(dataset):
    """Return the episodes of a recorded dataset by name."""
    settings, files = project.datasets[dataset], files_of(dataset)
    with mistakes_without_traceback():
        return recorded_episodes(dataset, settings, files, source, CONTENT_CACHE)


@cache
def files_left_out(dataset):
    """Return the files beside the episodes that look like some, as text."""
    if project.datasets[dataset].kind != "recorded":
        return ""
    return first_of(left_out(project.datasets[dataset], files_of(dataset).values()))


def audited_data(dataset) -> DataAuditSettings:
    """Return what the audit of a dataset's episodes is given."""
    return project.audit_data(dataset, files_left_out(dataset))


@cache
def listed(dataset):
    """Return the episodes of a LeRobotDataset by name, or raise what is wrong with it."""
    return lerobot_episodes(dataset, project.datasets[dataset], source)


def imported(dataset):
    """Return the same, or say what is wrong and stop."""
    with mistakes_without_traceback():
        return listed(dataset)


@cache
def in_videos(dataset):
    """Whether the images of a dataset stand in video files. Of one that no experiment uses, and
    that cannot be read, it is not asked any further."""
    if project.datasets[dataset].kind != "lerobot":
        return False
    try:
        return any(one.video for one in listed(dataset).values())
    except UserError:
        return False


def jobs_of_videos():
    """Return the jobs that import the datasets of videos: by the dataset's name and the job's."""
    return {
        (name, job.name): job
        for name in filter(in_videos, project.datasets)
        for job in video_jobs(
            Path(project.datasets[name].path).expanduser(),
            imported(name).values(),
            project.datasets[name].images.settled(),
        )
    }


# What is wrong with a folder is said at once, and in words.
for name in project.used_datasets():
    if isinstance(project.datasets[name], RecordedDataset):
        files_of(name)
    if project.datasets[name].kind == "recorded" and project.datasets[name].scenarios is not None:
        recorded(name)
    if project.datasets[name].kind == "lerobot":
        imported(name)
for name in sorted({one.backbone for one in project.reported_experiments().values()}):
    with mistakes_without_traceback():
        check_folder(name, project.backbones[name], source)


def one_of(names):
    """Return a pattern of some names: what config.yaml does not name is not made."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(project.datasets),
    episode=r"[^/]+",
    backbone=one_of(project.backbones),
    cut="image_embeds|hidden_states|readout",
    key=one_of(sorted({key for *_, key in project.feature_keys()})),
    experiment=one_of(project.experiments),
    precision="fp32|int8",
    run=one_of(sorted({run for name in project.experiments for run in project.runs_of(name)})),
    trial=one_of(project.trials),


def literal(path):
    """Return a path as a shell command holds it that Snakemake fills in: neither reads it as code."""
    return unfilled(shlex.quote(str(path)))


# Jobs run this checkout's library, whatever else is installed. In a conda environment the
# interpreter is the environment's, else the one that Snakemake itself runs in.
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
LIBRARY = literal(HOME / "workflow")
PATH = "" if CONDA else f'export PATH={literal(Path(sys.executable).parent)}:"$PATH"; '
# It stands before the commands of all rules, those of a workflow that has this as a module, too.
shell.prefix(f"{PATH}export PYTHONPATH={LIBRARY}" " MOBILE_VLA_PARENT=$(uname -n):$PPID; ")


# Jobs that run on a cluster are planned here and started there; both read this file. The executor is
# not known yet, but that it has a queue: `--jobs` is its length, and here becomes `--cores`.
CLUSTER = workflow.remote_exec or workflow.resource_settings.nodes is not None

# Here a job that runs the model takes one of the GPUs, and as many jobs run at a time as there are;
# on a cluster jobs get some if its profile gives one to `features`, and Slurm says which.
GPUS = 0 if CLUSTER else len(visible())
CLUSTER_HAS_GPUS = "gpu" in workflow.resource_settings.overwrite_resources.get("features", {})
if GPUS and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)


# A resource and not a param: what a machine has changes no result, and must rerun nothing.
MEMORY_LIMIT_GB = "" if project.memory_limit_gb is None else str(project.memory_limit_gb)


SETTINGS = {}

# Snakemake asks for the parameters of each function of each job three times, which took a sixth of a plan.
OF_WILDCARDS = inspect.signature(lambda w: None).parameters


def tracked(command, make, *wildcards, rule=None):
    """Return what a command's result depends on besides its inputs: code, versions and settings.

    Each setting is a param of its own, a short line: the reason for a rerun names those that
    differ. ``make`` returns the command's settings for the values of the named wildcards. A command
    of several rules is told apart by the name of the ``rule``.
    """

    shared = STAGES[command].tracked()

    # Those of one job are asked for one after the other, and of no job twice.
    @lru_cache(maxsize=1)
    def made(*values):
        plain = make(*values).model_dump(mode="json")
        return canonical_json(plain), plain

    def made_for(w):
        return made(*(getattr(w, name) for name in wildcards))

    def setting(path):
        def line(w):
            return sys.intern(setting_line(made_for(w)[1], path))

        overwrite_function_params(line, OF_WILDCARDS)
        return line

    @cache
    def code_beside_shared(*modules):
        return [line for line in code_of(*modules) if line not in shared]

    def chosen_code(w):
        return code_beside_shared(*chosen_modules(made_for(w)[1]))

    overwrite_function_params(chosen_code, OF_WILDCARDS)
    SETTINGS[rule or command] = made_for
    names = setting_names(settings_made_by(make))
    chosen = [chosen_code] if any(path[-1] == "head" for path in names) else []
    return [*shared, *chosen, *map(setting, names)]


def settings_of(rule):
    """Return the settings of a rule's command as it is given them, as one JSON text.

    What also takes the outputs is no reason for a rerun: the lines of `tracked` are.
    """
    return lambda w, output: SETTINGS[rule](w)[0]


@cache
def simulated(dataset):
    """Return the episodes of a simulated dataset by name."""
    return project.simulation(dataset)


def simulated_episode(dataset, episode) -> SimulateSettings:
    """Return the settings of a simulated episode."""
    return simulated(dataset)[episode]


def ingested_episode(dataset, episode) -> IngestSettings:
    """Return what is read of an episode, which depends on its dataset's kind."""
    if project.datasets[dataset].kind == "recorded":
        return recorded(dataset)[episode].settings
    return project.ingest(dataset, episode)


def imported_episode(dataset, episode) -> ImportSettings:
    """Return the settings of an episode of a LeRobotDataset."""
    return imported(dataset)[episode].settings


@cache
def imported_files(dataset):
    """Return the files of a LeRobotDataset, and the identity of their bytes."""
    files = {file for episode in imported(dataset).values() for file in episode.files}
    return content_ids(sorted(files), CONTENT_CACHE)


def imported_content(dataset, *episodes):
    """Return the identity of the bytes of the files that hold episodes of a LeRobotDataset."""
    files = {file for episode in episodes for file in imported(dataset)[episode].files}
    return [imported_files(dataset)[file] for file in sorted(files)]


@cache
def episodes(dataset):
    """Return the names of a dataset's episodes, as known before anything is computed.

    Of a kind that is not named here each episode is a file, which a rule of its own converts.
    """
    known = {"simulated": simulated, "recorded": recorded, "lerobot": imported}
    return sorted(known.get(project.datasets[dataset].kind, files_of)(dataset))


def of_kind(kind):
    """Return a pattern of the datasets of a kind: one rule makes the raw files of each."""
    return one_of(name for name, dataset in project.datasets.items() if dataset.kind == kind)


def with_raw_files():
    """Return a pattern of the datasets whose raw files `ingest` reads: those without videos."""
    return one_of(name for name in project.datasets if not in_videos(name))


def with_episodes():
    """Return a pattern of the datasets with episodes of their own: those that are no mixtures."""
    return one_of(name for name in project.datasets if not project.is_mixture(name))


def outputs(files):
    """Return the files that a command writes, as a rule's outputs: each with its option's name."""
    return {**files.below().by_name(), "provenance": str(files.provenance())}


def video_rule(dataset, job):
    """Return the name of the rule of a job that imports videos."""
    return f"import_videos_{dataset}_{job.name}"


def video_outputs(job):
    """Return what such a job writes: each episode's files, and the provenance beside the first.

    They have no wildcard: with one, Snakemake would compare each file with those of every such rule.
    """
    dataset = job.settings.dataset
    every = [
        EpisodeFiles.below(dataset=dataset, episode=one.episode) for one in job.settings.episodes
    ]
    return {
        "facts": [str(one.facts) for one in every],
        "frames": [str(one.frames) for one in every],
        "provenance": str(EpisodeFiles.provenance(dataset=dataset, episode=job.name)),
    }


def video_settings(job):
    """Return a function that returns the settings of such a job."""

    def settings() -> VideoSettings:
        return job.settings

    return settings


def video_content(dataset, job):
    """Return a function that returns the identity of the bytes of the files that it reads."""
    return lambda w: imported_content(dataset, *(one.episode for one in job.settings.episodes))


def tracked_results(settings):
    """Return what a command reads of the results of all runs, large files as `ancient`."""
    files = map(str, settings.files(RESULTS))
    return [ancient(file) if file.endswith((".npy", ".npz")) else file for file in files]


def relative(file):
    """Return a file of the report's sources as the rules name it: a copied project reruns nothing."""
    return local(os.path.relpath(HOME / "workflow/report" / file.relative_to(SOURCES)))


LINES = {}


def command(name):
    """Return the line that calls a command; while rules are read still its name: see below."""
    return LINES.get(name, name)


def complete_commands():
    """Make the line of each command from the inputs, params and outputs that its rule names.

    What a rule does not name is tracked and no option. Snakemake reads a rule's line before its
    inputs are known, so the lines are made when all rules are there.
    """
    for made in workflow.rules:
        if made.shellcmd in STAGES:
            LINES[made.shellcmd] = made.shellcmd = line_of(made, STAGES[made.shellcmd])


def line_of(made, command):
    """Return the line that calls a command with the files and parameters of its rule.

    With `exec` a signal to the job reaches the library, which ends in good order.
    """
    start = "{resources.launcher}" if "launcher" in made.resources else "python -m mobile_vla"
    given = "-" if command.long_settings else "{params.settings:q}"
    given += f" --results {literal(placed(RESULTS))}" if command.gathers else ""
    settings = f" --settings {given}" if "settings" in made.params.keys() else ""
    groups = {"input": made.input, "params": made.params, "output": made.output}
    options = [
        f"--{name.replace('_', '-')} {{{group}.{name}:q}}"
        for group, named in groups.items()
        for name in named.keys()
        if name not in ("settings", "provenance")
    ]
    if command.runs_model:
        options.append("--threads {threads}")
    if "memory_limit_gb" in made.resources:
        options.append("--memory-limit-gb {resources.memory_limit_gb}")
    if "provenance" in made.output.keys():
        options.append("--record {output.provenance:q}")
    here = " <<'SETTINGS'\n{params.settings}\nSETTINGS\n" if command.long_settings else ""
    listed = " ".join(options)
    return f"exec {start} {command.name}{settings} {listed} --log {{log:q}}{here}"


def of_episodes(pattern):
    """Return an input function that lists one file for each episode of the dataset."""
    return lambda w: expand(pattern, dataset=w.dataset, episode=episodes(w.dataset))
