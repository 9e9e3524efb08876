"""Schedule, score and unblind a trial: what they write, and what they refuse."""

import collections
import json
import logging
import multiprocessing
import os
import random
import signal

import pytest

from mobile_vla.errors import UserError
from mobile_vla.trials import files as trial_files
from mobile_vla.trials.files import (
    DRIVES,
    DRIVING,
    KEY,
    OUTCOMES,
    SCHEDULE,
    SHEET,
    UNBLINDED,
    TrialFolder,
    now,
    row_of,
)
from mobile_vla.trials.ledger import Ledger, judge
from mobile_vla.trials.reading import read_trial
from mobile_vla.trials.records import Judged
from mobile_vla.trials.schedule import drawn, policy_folder, read_scenes, schedule
from mobile_vla.trials.score import score
from mobile_vla.trials.unblind import unblind
from support.trials import CONFIG, DIGESTS, POLICIES, SCENES, drive, edit, next_of, scheduled

TABLE = "scene,instruction,box\nA,Go left,mark 1\nB,Go right,mark <2>\n"


@pytest.fixture
def project(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "scenes.csv").write_text(TABLE)
    return TrialFolder(tmp_path / "trials/hall")


def test_every_policy_drives_each_block_once_in_an_order_of_its_own():
    names = ("a/0", "b/0", "c/0")
    part, rows = drawn(names, SCENES, [], 300, random.Random(0))
    blocks = collections.defaultdict(list)
    for row in rows:
        blocks[row.block].append(row)
    assert list(blocks) == list(range(1, 301))
    for block in blocks.values():
        assert [row.position for row in block] == [1, 2, 3]
        assert {part.policies[row.ticket] for row in block} == set(names)
        assert len({row.scene for row in block}) == 1
    orders = collections.Counter(
        tuple(part.policies[row.ticket] for row in block) for block in blocks.values()
    )
    assert len(orders) == 6 and min(orders.values()) > 25
    cycles = [{blocks[one + 3 * cycle][0].scene for one in (1, 2, 3)} for cycle in range(100)]
    assert all(len(cycle) == 3 for cycle in cycles)
    permutations = {tuple(blocks[one + 3 * c][0].scene for one in (1, 2, 3)) for c in range(100)}
    assert len(permutations) == 6
    assert len({row.ticket for row in rows}) == 900
    assert not set("0O1IL2Z5S8BUV") & set("".join(row.ticket for row in rows))


def test_an_extension_goes_on_with_the_cycle_of_scenes(project):
    _, rows = drawn(POLICIES, SCENES, [], 4, random.Random(0))
    for seed in range(20):
        _, more = drawn(POLICIES, SCENES, rows, 5, random.Random(seed))
        assert [row.block for row in more[::2]] == [5, 6, 7, 8, 9]
        scenes = [row.scene for row in (*rows, *more) if row.position == 1]
        assert len(set(scenes[3:6])) == len(set(scenes[6:9])) == 3


def test_a_schedule_is_written_once_and_extended(project, caplog):
    schedule("hall")
    text = (project.path / SCHEDULE).read_text()
    assert text.splitlines()[0] == "block,position,scene,instruction,ticket,key"
    assert len(project.schedule()) == 10 and set(project.key().letters) == set(POLICIES)
    assert "10 drives in 5 blocks" in caplog.text
    for name in ("lora", "head_only"):
        assert name not in text + (project.path / KEY).read_text()
    with pytest.raises(
        UserError, match=r"it is there already.*--extend N.*; as nothing was driven"
    ):
        schedule("hall")
    schedule("hall", extend=2)
    longer = (project.path / SCHEDULE).read_text()
    assert longer.startswith(text) and len(project.schedule()) == 14
    assert len({row.key for row in project.schedule()}) == 2
    assert read_trial(project.path, DIGESTS).blocks[6].number == 7
    page = (project.path / SHEET).read_text()
    assert all(row.ticket in page for row in project.schedule())
    assert "mark &lt;2&gt;" in page and "Go left" in page


def test_an_instruction_that_a_policy_does_not_know_is_said_when_it_is_scheduled(
    project, caplog, monkeypatch
):
    described = policy_folder(POLICIES[0]) / "policy.json"
    described.parent.mkdir(parents=True)
    described.write_text(json.dumps({"prompts": ["Go left"]}))
    monkeypatch.setattr("mobile_vla.trials.schedule.policy_digest", lambda folder: "d" * 64)
    schedule("hall")
    assert f"{POLICIES[0]} was not trained with 'Go right'" in caplog.text
    assert "'Go left'" not in caplog.text and POLICIES[1] not in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("A,Go left,mark 1", "A,Go left", r"scenes.csv:2: 2 cells\n    expected: 3"),
        ("A,Go left", "A,", "scenes.csv:2: no instruction"),
        ("B,Go right", "A,Go right", "'A', which stands in line 2, too"),
        ("scene,instruction", "place,instruction", "found the columns place, instruction, box"),
        (TABLE[22:], "", "0 scenes"),
    ],
)
def test_a_table_of_scenes_that_cannot_be_used_is_refused(project, tmp_path, old, new, message):
    (tmp_path / "scenes.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_scenes(tmp_path / "scenes.csv")
    (tmp_path / "scenes.csv").unlink()
    with pytest.raises(UserError, match=r"scenes\.csv: cannot be read"):
        schedule("hall")


def test_what_cannot_be_scheduled_is_refused(project, tmp_path):
    with pytest.raises(UserError, match="has no trial 'hal'; expected hall"):
        schedule("hal")
    with pytest.raises(UserError, match=r"SCHEDULE\.csv is not there; leave it out"):
        schedule("hall", extend=3)
    schedule("hall")
    with pytest.raises(UserError, match="expected 1 block at least"):
        schedule("hall", extend=0)
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.replace("blocks: 5", "blocks: 6").replace("seed0]", "seed1]"))
    file.write_text(file.read_text().replace("finetune: none", "finetune: none, seeds: [1]"))
    with pytest.raises(UserError, match="found lora/seed0, head_only/seed1, expected"):
        schedule("hall", extend=1)


def test_a_policy_that_lost_is_left_out_of_further_blocks_by_its_letter(project, tmp_path):
    config = CONFIG.replace("head_only: {fine", "r8: {lora: {r: 8}}\n  head_only: {fine")
    config = config.replace("[lora/seed0,", "[lora/seed0, r8/seed0,")
    (tmp_path / "config.yaml").write_text(config)
    schedule("hall")
    key = project.key()
    (lost,) = (policy for policy, letter in key.letters.items() if letter == "B")
    for wrong in ("D", "AB", "ABC"):
        with pytest.raises(UserError, match=f"--without {wrong}: expected letters of A, B, C"):
            schedule("hall", extend=4, without=wrong)
    with pytest.raises(UserError, match="only with `--extend`"):
        schedule("hall", without="B")
    schedule("hall", extend=4, without="b")
    blocks = read_trial(project.path, {}).blocks
    assert [lost in block.cells for block in blocks] == [True] * 5 + [False] * 4
    assert [len(block.cells) for block in blocks] == [3] * 5 + [2] * 4


def test_a_drive_is_scored_by_its_ticket(project, caplog):
    schedule("hall")
    first, second = (row.ticket for row in project.schedule()[:2])
    with pytest.raises(UserError, match=f"{first} has not driven yet; .* is due is {first}"):
        score(first, "success")
    with pytest.raises(UserError, match="no trial has the ticket 'ABC': trials/hall"):
        score("abc", "success")
    drive(project, [None])
    with pytest.raises(UserError, match="found 'good', expected one of success, collision"):
        score(first, "good")
    for outcome, reason in (("void", None), ("timeout", "robot"), ("void", "policy")):
        with pytest.raises(UserError, match="one of robot, network, scene"):
            score(first, outcome, reason=reason)
    score(first.lower(), "wrong_side", note="passed,\non the left")
    assert f"Next: block 1, scene {project.schedule()[1].scene}, ticket {second}" in caplog.text
    assert project.lines(OUTCOMES)[0].startswith(f'{first},wrong_side,,"passed, on the left",')
    score(first, "wrong_side")
    assert len(project.lines(OUTCOMES)) == 1
    with pytest.raises(UserError, match="scored as wrong_side already, and an outcome is never"):
        score(first, "success")


def test_unblinding_tells_the_names_once_and_fixes_the_rows(project, caplog):
    schedule("hall")
    with pytest.raises(UserError, match="nothing was driven"):
        unblind("hall")
    (first,) = drive(project, [None])
    with pytest.raises(UserError, match=f"{first} drove and has no outcome"):
        unblind("hall")
    judge(project, first, "success")
    ledger = Ledger(project, {name: str(digest) for name, digest in DIGESTS.items()})
    with pytest.raises(UserError, match="another server drives this trial"):
        unblind("hall")
    ledger.close()
    unblind("hall")
    letters = project.key().letters
    assert all(f"{letter} is {policy}" in caplog.text for policy, letter in letters.items())
    before = (project.path / UNBLINDED).read_text()
    unblind("hall")
    assert (project.path / UNBLINDED).read_text() == before
    assert project.unblinded().drives.rows == project.unblinded().outcomes.rows == 1
    for refused in (lambda: Ledger(project, {}), lambda: schedule("hall", extend=1)):
        with pytest.raises(UserError, match="the names were told"):
            refused()


def test_a_killed_server_leaves_a_line_and_a_ticket_that_wants_its_outcome(tmp_path):
    files = scheduled(tmp_path / "hall")
    drive(files, ["success"])
    ticket = next_of(files).ticket
    child = os.fork()
    if child == 0:
        ledger = Ledger(files, {name: str(digest) for name, digest in DIGESTS.items()})
        ledger.begin(ticket)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert (files.path / DRIVING).exists() and len(files.lines(DRIVES)) == 1
    ledger = Ledger(files, {name: str(digest) for name, digest in DIGESTS.items()})
    assert not (files.path / DRIVING).exists() and len(files.lines(DRIVES)) == 2
    with pytest.raises(UserError, match=f"{ticket} drove and has no outcome"):
        ledger.begin(ticket)
    assert sorted(
        cell.state for cell in read_trial(files.path, DIGESTS).blocks[0].cells.values()
    ) == ["scored", "unscored"]
    judge(files, ticket, "void", "network")
    ledger.begin(next_of(files).ticket)
    ledger.close()


def _append(path, name):
    files = TrialFolder(path)
    for number in range(20):
        with files.locked():
            row = Judged(ticket=f"{name}{number}", outcome="success", note="x" * 300, scored=now())
            files.append(OUTCOMES, [row_of(row)])


def test_a_line_that_could_not_be_written_is_written_with_the_next_drive(tmp_path, monkeypatch):
    files = scheduled(tmp_path / "hall")
    ledger = Ledger(files, {name: str(digest) for name, digest in DIGESTS.items()})
    first, second = (row.ticket for row in files.schedule()[:2])
    ledger.begin(first)
    judge(files, first, "success")
    monkeypatch.setattr(TrialFolder, "append", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        ledger.end(now(), 3, "scored")
    monkeypatch.undo()
    ledger.begin(second)
    assert [first in line for line in files.lines(DRIVES)] == [True]
    # a server that was killed after the line, and before it took the note of the drive away
    note = (files.path / DRIVING).read_text()
    ledger.end(now(), 3, "fault")
    ledger.close()
    (files.path / DRIVING).write_text(note)
    Ledger(files, {}).close()
    assert len(files.lines(DRIVES)) == 2 and not (files.path / DRIVING).exists()


def test_writers_at_the_same_time_leave_whole_rows_alone(tmp_path):
    files = scheduled(tmp_path / "hall")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(files.path, name)) for name in "ABCD"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = collections.Counter(line.split(",")[0] for line in files.lines(OUTCOMES))
    assert found == {f"{name}{number}": 1 for name in "ABCD" for number in range(20)}
    assert (files.path / OUTCOMES).read_text().count("ticket,outcome,reason,note,scored") == 1


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    files = scheduled(tmp_path / "hall")
    drive(files, ["success"])
    before = (files.path / OUTCOMES).read_bytes()
    (second,) = drive(files, [None])
    write = os.write
    monkeypatch.setattr(trial_files.os, "write", lambda file, data: write(file, data[:10]))
    with pytest.raises(OSError, match="No space left"):
        judge(files, second, "success")
    assert (files.path / OUTCOMES).read_bytes() == before
    monkeypatch.undo()
    judge(files, second, "success")
    assert read_trial(files.path, DIGESTS).drives == 2


def test_a_void_ticket_that_a_power_cut_left_alone_gets_its_row(tmp_path):
    files = scheduled(tmp_path / "hall")
    drive(files, ["void"])
    rows = files.lines(SCHEDULE)
    edit(files, SCHEDULE, rows[-1] + "\n", "")
    ledger = Ledger(files, {name: str(digest) for name, digest in DIGESTS.items()})
    row, drove = ledger.state()
    assert (row.block, row.position, drove) == (1, 1, False)
    assert len(files.lines(SCHEDULE)) == len(rows) and files.lines(SCHEDULE)[-1] != rows[-1]
    assert ledger.admit(row.ticket)[0] == files.key().policies[files.schedule()[0].ticket]
    ledger.close()
