# The library, importable from here on, and the configuration. It is read here before Snakemake reads
# it, which ends in tracebacks or without an end, and runs the Python code of a file that asks for it.
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.sourcecache import HostingProviderFile, LocalGitFile, LocalSourceFile


def checkout():
    """Return the folder of this checkout, wherever it is used from.

    Snakemake reads the rules of a module out of a git repository, here or at a hosting service. A
    library is imported from a folder: its commit is unpacked where the user works.
    """
    place = workflow.current_basedir
    if isinstance(place, LocalSourceFile):
        return Path(place).parents[1]
    if isinstance(place, HostingProviderFile):
        place.fetch_if_required()
        repository = place.hosted_repo.repo
    elif isinstance(place, LocalGitFile):
        from git import Repo  # as Snakemake does: no other use needs it

        repository = Repo(place.repo_path)
    else:
        sys.exit(
            f"{place}: rules that import a library; expected a folder, or a git repository with a "
            "tag or a commit; name one of them as the module's `snakefile:`"
        )
    return unpacked(repository, repository.commit(place.ref).hexsha)


def unpacked(repository, commit):
    """Return the folder of a commit's files, which is made where there is none yet."""
    import tarfile
    import tempfile

    folder = Path(".snakemake/mobile_vla", commit).absolute()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            with Path(name, "tar").open("w+b") as archive:
                repository.archive(archive, treeish=commit)
                archive.seek(0)
                with tarfile.open(fileobj=archive) as files:
                    files.extractall(Path(name, "files"), filter="data")
            Path(name, "files").rename(folder)
    return folder


HOME = checkout()
sys.path.insert(0, str(HOME / "workflow"))

try:
    from mobile_vla.config.loading import load_project, read_with_source
    from mobile_vla.errors import UserError
except ModuleNotFoundError as error:
    sys.exit(
        f"{error.name}: not installed for {sys.executable}, which runs Snakemake; expected what the "
        f"project needs; `{sys.executable} -m pip install -r {HOME / 'envs/requirements.txt'} "
        f"-c {HOME / 'envs/constraints.txt'}`"
    )


@contextmanager
def mistakes_without_traceback():
    """Say what a user has to mend, and stop."""
    try:
        yield
    except UserError as error:
        sys.exit(str(error))


def configuration_files():
    """Return config.yaml, if it is to be read, and the files of `--configfile`."""
    settings = workflow.config_settings
    given = [Path(os.path.relpath(file)) for file in settings.configfiles]
    own = Path("config.yaml")
    if given and (settings.replace_workflow_config or own in given or not own.exists()):
        return given
    return [own, *given]


def check_place():
    """Refuse a folder of the project that PATH and PYTHONPATH cannot hold.

    Raises:
        UserError: it is such a folder.
    """
    odd = set(":\n") & set(str(HOME))
    if odd:
        raise UserError(
            f"{str(HOME)!r}: found {' '.join(map(repr, sorted(odd)))} in the path of the "
            "project, which PATH would take for something else; expected a path without; rename or "
            "move the folder"
        )


with mistakes_without_traceback():
    check_place()
    if workflow.modifier.skip_configfile:  # a module that is given its configuration
        project, source = load_project(config)
    else:
        project, source = read_with_source(
            *configuration_files(), given=workflow.config_settings.config
        )
