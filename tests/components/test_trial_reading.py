"""Rows that do not count, or count once: each kind with its sentence."""

import json

import pytest

from mobile_vla.errors import UserError
from mobile_vla.trials.files import DRIVES, KEY, OUTCOMES, SCHEDULE, UNBLINDED
from mobile_vla.trials.reading import read_trial
from mobile_vla.trials.records import Fixed, Unblinded
from support.trials import DIGESTS, POLICIES, add, drive, edit, next_of, scheduled

WHEN = "2026-11-28T12:00:00Z"


@pytest.fixture
def files(tmp_path):
    return scheduled(tmp_path / "hall")


def read(files, digests=DIGESTS):
    return read_trial(files.path, digests)


def states(trial):
    return [cell.state for block in trial.blocks for cell in block.cells.values()]


def sentences(trial):
    return {one.kind: (one.count, str(one.sentence)) for one in trial.left_out}


def fix(files):
    """Note which rows there are, as `unblind` does."""
    rows = (Fixed.of(files.lines(name)) for name in (DRIVES, OUTCOMES))
    fixed = Unblinded(unblinded=WHEN, **dict(zip(("drives", "outcomes"), rows, strict=True)))
    (files.path / UNBLINDED).write_text(fixed.model_dump_json())


def test_a_trial_is_its_blocks_with_the_outcomes_of_each_policy(files):
    trial = read(files)
    assert states(trial) == ["due"] * 6 and trial.drives == 0 and trial.left_out == []
    drive(files, ["success", "timeout", "collision"])
    trial = read(files)
    assert [block.number for block in trial.blocks] == [1, 2, 3]
    assert [block.complete for block in trial.blocks] == [True, False, False]
    assert {block.scene for block in trial.blocks} == {"hall 0", "hall 1", "hall 2"}
    assert sorted(trial.letters) == sorted(POLICIES) and set(trial.letters.values()) == {"A", "B"}
    policies = files.key().policies
    found = [
        trial.blocks[row.block - 1].cells[policies[row.ticket]].outcome for row in files.schedule()
    ]
    assert found == ["success", "timeout", "collision", None, None, None]
    first = trial.blocks[0].cells
    begun = [first[policies[row.ticket]].begun for row in files.schedule()[:2]]
    assert begun[0] < begun[1]
    assert trial.drives == 3 and trial.unblinded is None and trial.left_out == []


def test_an_equal_outcome_counts_once(files):
    ticket = drive(files, ["success", "timeout"])[0]
    add(files, OUTCOMES, f"{ticket},success,,said twice,{WHEN}")
    trial = read(files)
    assert states(trial)[:2] == ["scored"] * 2
    said = f"outcomes.csv: an outcome that stands twice counts once (1 row: {ticket})"
    assert sentences(trial) == {"duplicate": (1, said)}


def test_conflicting_outcomes_are_left_out(files):
    ticket = drive(files, ["success", "timeout"])[0]
    add(files, OUTCOMES, f"{ticket},timeout,,,{WHEN}")
    trial = read(files)
    assert sorted(states(trial)[:2]) == ["conflict", "scored"]
    said = (
        "outcomes.csv: outcomes that contradict each other do not count "
        f"(1 row: {ticket} is success, timeout)"
    )
    assert sentences(trial) == {"conflict": (1, said)}


def test_a_void_drive_is_driven_again_at_its_place(files):
    before = files.schedule()
    drive(files, ["void"])
    again = next_of(files)
    assert (again.block, again.position, again.scene) == (1, 1, before[0].scene)
    assert again.ticket not in {row.ticket for row in before}
    policies = files.key().policies
    assert policies[again.ticket] == policies[before[0].ticket]
    said = "1 drive void (1 robot), driven again within the block"
    assert sentences(read(files)) == {"void": (1, said)}
    drive(files, ["void", "success", "timeout"])
    cells = read(files).blocks[0].cells
    assert cells[policies[again.ticket]].outcome == "success"
    assert sorted(cell.voids for cell in cells.values()) == [0, 2]


def test_an_outcome_without_a_drive_is_left_out(files):
    tickets = drive(files, ["success", "timeout"])
    lines = files.lines(DRIVES)
    (files.path / DRIVES).write_text(lines[0] + "\n")  # the last line is lost
    trial = read(files)
    assert sorted(states(trial)[:2]) == ["missing", "scored"]
    said = "1 drive with an outcome and without a line in drives.jsonl"
    assert sentences(trial) == {"missing": (1, said)}
    assert len(tickets) == 2


def test_a_drive_without_an_outcome_waits_for_it(files):
    drive(files, ["success", None])
    trial = read(files)
    assert sorted(states(trial)[:2]) == ["scored", "unscored"]
    said = "1 drive without an outcome so far"
    assert sentences(trial) == {"unscored": (1, said)}


def test_rows_that_come_or_change_after_unblinding_are_left_out(files):
    one, two = drive(files, ["success", "timeout"])
    fix(files)
    trial = read(files)
    assert states(trial)[:2] == ["scored"] * 2 and trial.left_out == []
    assert trial.unblinded.isoformat() == "2026-11-28T12:00:00+00:00"
    edit(files, OUTCOMES, f"{two},timeout", f"{two},success")
    add(files, OUTCOMES, f"{one},timeout,,,{WHEN}")
    trial = read(files)
    assert sorted(states(trial)[:2]) == ["late", "scored"]
    late, gone = trial.left_out
    assert (late.kind, late.count) == ("late", 2)
    assert str(late.sentence) == (
        "outcomes.csv: what came, or was changed, after the names were told does not count "
        f"(2 rows: {two}, {one})"
    )
    assert (gone.kind, gone.count) == ("edited", 1)
    assert "there when the names were told, and not any more" in str(gone.sentence)


def test_drives_after_unblinding_are_left_out(files):
    drive(files, ["success"])
    text = (files.path / DRIVES).read_text(), (files.path / OUTCOMES).read_text()
    drive(files, ["timeout"])
    whole = (files.path / DRIVES).read_text(), (files.path / OUTCOMES).read_text()
    for name, part in zip((DRIVES, OUTCOMES), text, strict=True):
        (files.path / name).write_text(part)
    fix(files)
    for name, part in zip((DRIVES, OUTCOMES), whole, strict=True):
        (files.path / name).write_text(part)
    trial = read(files)
    assert sorted(states(trial)[:2]) == ["late", "scored"]
    assert [(one.kind, one.count) for one in trial.left_out] == [("late", 1), ("late", 1)]
    assert trial.drives == 1


@pytest.mark.parametrize("change", ["edited", "removed", "unreadable", "the first"])
def test_a_changed_line_of_the_chain_does_not_count(files, change):
    tickets = drive(files, ["success"] * 4)
    lines = files.lines(DRIVES)
    wrong, state = tickets[1], "edited"
    if change == "edited":
        edit(files, DRIVES, lines[1], lines[1].replace('"steps": 7', '"steps": 8'))
        said = "line 3 followed another than line 2"
    elif change == "removed":
        edit(files, DRIVES, lines[1] + "\n", "")
        state, said = "missing", "line 2 followed another than line 1"
    elif change == "unreadable":
        edit(files, DRIVES, lines[1], lines[1].replace('"steps": 7', '"steps": "many"'))
        said = "line 2 (steps) found 'many'"
    else:
        edit(files, DRIVES, lines[0] + "\n", "")
        wrong, state, said = tickets[0], "missing", "line 1 followed another than line 0"
    trial = read(files)
    policies = files.key().policies
    row = next(row for row in files.schedule() if row.ticket == wrong)
    cell = trial.blocks[row.block - 1].cells[policies[wrong]]
    assert cell.state == state
    edited = [str(one.sentence) for one in trial.left_out if one.kind == "edited"]
    assert edited and said in edited[0]
    assert edited[0].startswith("drives.jsonl: ")


def test_drives_of_an_earlier_version_are_left_out_and_the_same_bytes_kept(files):
    drive(files, ["success", "timeout"])
    assert read(files, dict(DIGESTS)).drives == 2
    trial = read(files, {**DIGESTS, POLICIES[0]: "trained again"})
    assert trial.blocks[0].cells[POLICIES[0]].state == "earlier"
    said = "1 drive of an earlier version of the policy, which was trained again since"
    assert sentences(trial) == {"earlier": (1, said)}
    trial = read(files, {**DIGESTS, POLICIES[0]: None})
    assert trial.blocks[0].cells[POLICIES[0]].state == "earlier"


def test_two_names_of_one_policy_are_refused(files):
    with pytest.raises(UserError, match="are the same policy, byte for byte"):
        read(files, dict.fromkeys(POLICIES, "one"))


def test_rows_that_are_none_are_listed(files):
    ticket = drive(files, ["success"])[0]
    add(files, OUTCOMES, f"{ticket},splendid,,,{WHEN}")
    add(files, OUTCOMES, f"{ticket},success")
    add(files, OUTCOMES, f"NOTHERE2,success,,,{WHEN}")
    last = json.loads(files.lines(DRIVES)[0])
    add(files, DRIVES, json.dumps({**last, "ticket": "NOTHERE2"}))
    kinds = [(one.kind, one.count) for one in read(files).left_out]
    assert kinds == [("edited", 1), ("unknown", 1), ("edited", 2), ("unknown", 1)]
    edited, unknown = [str(one.sentence) for one in read(files).left_out][2:]
    assert "line 3 (outcome) found 'splendid'" in edited and "line 4 found 2 cells" in edited
    where = "(1 row: 'NOTHERE2' in line 5)"
    assert unknown == f"outcomes.csv: the ticket is not in SCHEDULE.csv {where}"


def test_half_a_row_is_none_and_is_removed_before_the_next(files):
    drive(files, ["success"])
    whole = files.lines(OUTCOMES)
    with (files.path / OUTCOMES).open("a") as file:
        file.write("HALF")
    assert files.lines(OUTCOMES) == whole
    drive(files, ["timeout"])
    assert "HALF" not in (files.path / OUTCOMES).read_text()
    assert len(files.lines(OUTCOMES)) == 2 and read(files).drives == 2


def test_a_changed_schedule_or_key_is_refused(files, tmp_path):
    row = files.schedule()[0]
    edit(files, SCHEDULE, f"{row.ticket}", "ABCDEFGH")
    with pytest.raises(UserError, match="6 rows, such as that of ticket ABCDEFGH, are not as"):
        read(files)
    edit(files, SCHEDULE, "ABCDEFGH", row.ticket)
    assert read(files).drives == 0
    other = scheduled(tmp_path / "other", seed=1)
    (files.path / KEY).write_bytes((other.path / KEY).read_bytes())
    with pytest.raises(UserError, match=r"restore it from version control, both files"):
        read(files)
    (files.path / KEY).write_text('{"about": "", "sealed": "bm90aGluZw=="}')
    with pytest.raises(UserError, match=r"key\.json: not as `schedule` wrote it"):
        read(files)
