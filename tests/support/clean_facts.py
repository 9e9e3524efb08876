"""The facts of a dataset without findings, changed here and there, and its audit."""

from __future__ import annotations

from mobile_vla.audit.audit import audit, with_experiments
from mobile_vla.audit.audit_data import assess_data, audit_data
from mobile_vla.audit.result import Audit
from mobile_vla.config.audit import AuditedExperiment, AuditSettings, DataAuditSettings, Declared
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.ingest.result import StrongColors
from mobile_vla.layout import AuditFiles, DataAuditFiles
from support.synthetic_datasets import changed, facts_of, write_facts

NAMES = [
    f"episode_20251103_09{index:02}{half:02}_1box_hori_{side}_{style}_{distance}"
    for index, distance in enumerate(["close", "medium", "far"])
    for style in ("core", "variant")
    for side in ("left", "right")
    for half in range(3)
]
USUAL = AuditedExperiment(
    name="usual", windows=Windows(window=8, chunk=10), prompt=Prompt(template="pass on the {side}")
)


def whole(**changes):
    """Return the facts of a dataset without findings, the first episode changed."""
    first, *others = (facts_of(name) for name in NAMES)
    return [changed(first, **changes), *others]


def settings(**changes):
    return AuditSettings(**{"dataset": "made", "experiments": (USUAL,), **changes})


def assessed(every, settings):
    """Return what both commands of the audit find, and the windows that experiments get."""
    return with_experiments(*assess_data(every, settings), settings)


def found(every, actions=None, **changes):
    findings, _ = assessed(
        every, settings(declared=Declared(actions=actions or Actions()), **changes)
    )
    return [(one.code, one.severity, one.episode, one.place) for one in findings]


def statistics(name=NAMES[0], frames=18, **changes):
    return facts_of(name, frames).image_statistics.model_copy(update=changes)


def first(**changes):
    """Return the facts' actions of the first episode, some rows changed."""
    actions = [list(action) for action in facts_of(NAMES[0]).actions]
    for row, action in changes.items():
        actions[int(row[1:])] = action
    return actions


FRAMES = 18
MEAN = [110.0] * FRAMES
LIKE_OTHER = facts_of(NAMES[1])


def colours(red, blue, name=NAMES[0]):
    return statistics(name, strong=StrongColors(red=red, blue=blue))


def run(folder, every, frames=(), **changes):
    facts = write_facts(folder, every, frames=frames)
    data = DataAuditFiles(folder / "audit_data.json")
    audit_data(DataAuditSettings.part_of(settings(**changes)), data, facts=facts)
    files = AuditFiles(folder / "audit.json", folder / "audit.html")
    audit(settings(**changes), files, data=data.data, facts=facts)
    return Audit.read(folder / "audit.json"), (folder / "audit.html").read_text()
