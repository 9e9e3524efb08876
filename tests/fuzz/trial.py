"""Try inputs drawn from a seed, each in a fork of this process, which loads little.

``python -m fuzz.trial KIND SEED COUNT`` prints a JSON line for each input.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

from support.limited import limited

Case = tuple[str, Callable[[], object]]

BYTES = ("_flip", "_blank", "_cut", "_splice")
"""The damages that do to any file; the others are done to arrays at its top."""


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
            assert all(map(str, (one.found, one.expected, one.remedy, one.place)))

    for name, damage in damages(seed, count):
        raw = damaged(good, folder / good.name, damage)
        yield name, lambda raw=raw: read(raw)


def layouts(seed: int, count: int) -> Iterator[Case]:
    """Yield damaged files of several episodes, which are described, listed and read."""
    from fuzz.episodes import damaged, damages
    from mobile_vla.config.entries import RecordedDataset
    from mobile_vla.config.mistakes import Source
    from mobile_vla.describing.describe import describe
    from mobile_vla.errors import UserError
    from mobile_vla.ingest import isolation
    from mobile_vla.ingest.ingest import ingest
    from mobile_vla.ingest.recorded import recorded_episodes, recorded_files
    from mobile_vla.layout import EpisodeFiles
    from support.hdf5_layouts import write_robomimic

    isolation.STALL_SECONDS = 4.0  # instead of two minutes: some of the damages make HDF5 loop
    good, folder = Path("image.h5"), Path("several")
    write_robomimic(good, demos=3)
    folder.mkdir()
    fields = {"episodes": "data/demo_*", "images": "obs/agentview_image", "actions": "actions"}
    given = {"kind": "recorded", "path": str(folder), "fields": fields}
    dataset, source = RecordedDataset.model_validate(given), Source()
    files = EpisodeFiles(Path("one.json"), Path("one.npy"))

    def read(raw: Path) -> None:
        with suppress(UserError), redirect_stdout(io.StringIO()):
            describe(raw)
        found = recorded_files("made", dataset, source)
        for one in recorded_episodes("made", dataset, found, source, Path("cache.json")).values():
            ingest(one.settings, files, raw=one.file)

    in_bytes = (one for one in damages(seed + 1, 10 * count) if one[0].endswith(BYTES))
    for name, damage in itertools.islice(in_bytes, count):
        raw = damaged(good, folder / good.name, damage)
        yield name, lambda raw=raw: read(raw)


def main(kind: str, seed: str, count: str) -> None:
    """Print how each input ended."""
    kinds = {
        **{"configurations": configurations, "texts": texts},
        **{"episodes": episodes, "layouts": layouts},
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, work in kinds[kind](int(seed), int(count)):
            print(json.dumps({"name": name, **vars(limited(work))}), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
