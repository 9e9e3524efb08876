"""Try inputs drawn from a seed, each in a fork of this process, which loads little.

``python -m fuzz.trial KIND SEED COUNT`` prints a JSON line for each input.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from support.limited import limited

Case = tuple[str, Callable[[], object]]


def configurations(seed: int, count: int) -> Iterator[Case]:
    """Yield configurations with some settings spoilt, in the file ``config.yaml``."""
    from fuzz.configurations import configurations as made

    yield from _plans(text.encode() for text in made(seed, count))


def texts(seed: int, count: int) -> Iterator[Case]:
    """Yield texts that are hardly YAML, in the file ``config.yaml``."""
    from fuzz.configurations import texts as made

    yield from _plans(made(seed, count))


def _plans(contents: Iterator[bytes]) -> Iterator[Case]:
    from mobile_vla.config.loading import read_project
    from mobile_vla.config.reading import read

    file, presets = Path("config.yaml"), Path(__file__).parents[2] / "presets"
    Path("presets").symlink_to(presets)
    for preset in sorted(Path("presets").glob("*.yaml")):
        read(preset)  # once for all forks

    def plan() -> None:
        """Read a configuration, and from it what a plan asks for: the settings of each job."""
        project = read_project(file)
        for name, run in project.runs():
            project.train(name, run)
            project.evaluate(name, run).canonical()
        project.page().canonical()

    for index, content in enumerate(contents):
        file.write_bytes(content)
        yield str(index), plan


def episodes(seed: int, count: int) -> Iterator[Case]:
    """Yield damaged episodes, which are read and audited."""
    from fuzz.episodes import damaged, damages
    from mobile_vla.audit.audit_data import assess_data
    from mobile_vla.config.audit import DataAuditSettings, Declared
    from mobile_vla.config.ingest import Images, IngestSettings
    from mobile_vla.config.windows import Actions
    from mobile_vla.ingest.ingest import ingest
    from mobile_vla.ingest.result import EpisodeFacts
    from mobile_vla.layout import EpisodeFiles
    from support.recorded import names, write_episode

    good, folder = Path(f"{names(1)[0]}.h5"), Path("damaged")
    write_episode(good, size=(36, 64))
    folder.mkdir()
    settings = IngestSettings(dataset="made", episode=good.stem, images=Images().settled())
    files = EpisodeFiles(Path("out.json"), Path("out.npy"))
    audited = DataAuditSettings(dataset="made", declared=Declared(actions=Actions()))

    def read(raw: Path) -> None:
        ingest(settings, files, raw=raw)
        for one in assess_data([EpisodeFacts.read(files.facts)], audited)[0]:
            assert all((one.found, one.expected, one.remedy, one.place))

    for name, damage in damages(seed, count):
        raw = damaged(good, folder / good.name, damage)
        yield name, lambda raw=raw: read(raw)


def main(kind: str, seed: str, count: str) -> None:
    """Print how each input ended."""
    kinds = {"configurations": configurations, "texts": texts, "episodes": episodes}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, work in kinds[kind](int(seed), int(count)):
            print(json.dumps({"name": name, **vars(limited(work))}), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
