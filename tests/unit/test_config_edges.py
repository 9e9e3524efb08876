"""Files that are hardly a configuration: each is refused at its line, and nothing is expanded."""

import json
import os
from pathlib import Path

import pytest

from mobile_vla.backbone.local import check_folder
from mobile_vla.config.backbone import PretrainedBackbone, RandomBackbone
from mobile_vla.config.loading import read_project, read_with_source
from mobile_vla.config.mistakes import Source
from mobile_vla.config.schema import config_schema
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.ingest.recorded import recorded_files
from mobile_vla.lerobot.listing import lerobot_episodes
from support.config_text import BASE, load, problems

LAST = len(BASE.splitlines())
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("added", "line", "words"),
    [
        ("  b: \x07\n", 1, "U+0007"),
        ("  b: \x00\n", 1, "U+0000"),
        ("  b: \x1b[31m\n", 1, "U+001B"),
        ("  b: &a {lora: *a}\n", 1, "*a within &a"),
        ("  b:\n    seeds: &a\n      - *a\n", 3, "*a within &a"),
        ("  b: " + "[" * 3000, 1, "too deep"),
        ("  b: " + "{a: " * 3000, 1, "too deep"),
        ("  b: {window: " + "9" * 5000 + "}\n", 1, "a number of 5000 characters"),
        ("  b: {window: 0x" + "f" * 5000 + "}\n", 1, "a number of 5002 characters"),
        ("  b: {window: !!int x}\n", 1, "no value of its kind"),
        ("  b: {window: 2025-99-99}\n", 1, "month must be in 1..12"),
        ("  b: {window: !!bool x}\n", 1, "no value of its kind"),
        (BOMB, 5, "more settings than"),
        (MERGES, 5, "more settings than"),
        ("  b: !odd {}\n", 1, "the tag '!odd'"),
        ("  b: !!python/tuple [1]\n", 1, "the tag 'tag:yaml.org,2002:python/tuple'"),
        ("  b: !!set {a}\n", 1, "the tag 'tag:yaml.org,2002:set'"),
        ("  b:\n    <<: 3\n", 2, "expected a mapping"),
        ("  b:\n    <<: [1]\n", 2, "expected a mapping"),
        ("  b:\n    [a, b]: 1\n", 2, "a list or mapping as a key"),
        ("  b:\n    ? {a: 1}\n    : 1\n", 2, "a list or mapping as a key"),
        ("  b: *nobody\n", 1, "undefined alias"),
        ("--- {}\n", 1, "but found another document"),
    ],
)
def test_what_breaks_a_loader_is_said_at_its_line(tmp_path, added, line, words):
    (found,) = problems(BASE + added, tmp_path).items()
    place, problem = found
    assert words in problem.found
    assert place.split(" ")[0] == str(LAST + line)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "[1]\n", "hello\n"])
def test_a_file_without_sections_is_named(tmp_path, text):
    (place,) = problems(text, tmp_path)
    assert place == "1"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: 1\nb: \xe4\n"])
def test_another_encoding_is_named_with_its_line(tmp_path, content):
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(Problems, match=rf"config.yaml:{content.count(b'1') + 1}: not text in UTF"):
        read_project(file)


@pytest.mark.parametrize("key", ["20251106", "2025-11-06", "yes", "1.5", "null", "~", "0x1f"])
@pytest.mark.parametrize("section", ["experiments", "datasets", "backbones"])
def test_a_name_that_yaml_takes_for_another_kind_is_to_be_quoted(tmp_path, section, key):
    text = BASE.replace(f"{section}:\n", f"{section}:\n  {key}: {{}}\n")
    line = text[: text.index(f"  {key}: ")].count("\n") + 1
    ((place, problem),) = problems(text, tmp_path).items()
    assert place == f"{line} ({section}.{key})"
    assert problem.remedy == f'put it in quotes: "{key}"'
    load(BASE + f'  "{key.strip("~") or "a"}": {{}}\n', tmp_path)


@pytest.mark.parametrize("file", ["/dev/zero", "/proc/self/mem", "~nobody/x", "a\0b", "x" * 999])
def test_what_is_no_file_cannot_be_included(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name in (file, "pipe"):
        with pytest.raises(Problems) as caught:
            load(f"include: [{name!r}]\n".replace("\0", "\\0").replace("'", '"') + BASE, Path())
        assert len(caught.value.problems) == 1


def test_files_are_not_read_without_end(tmp_path):
    (problem,) = problems(BASE + "# x\n" * 200_000, tmp_path).values()
    assert problem.expected == "500000 bytes"


@pytest.mark.parametrize("key", ["a\nb", "a\x85b", "a\u202eb"])
@pytest.mark.parametrize("place", ["  {key}: {{}}\n", "  b: {{{key}: 1}}\n", "{key}: 1\n"])
def test_a_message_stays_on_its_line(tmp_path, key, place):
    quoted = '"' + key.encode("unicode_escape").decode() + '"'
    with pytest.raises(Problems) as caught:
        load(BASE + place.format(key=quoted), tmp_path)
    lines = str(caught.value).splitlines()
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if "config.yaml:12 (" in line and "b" in line]


MANY = ", ".join(map(str, range(1001)))
SWEEP = ", ".join(f"k{n}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" for n in range(10))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("lora: {}", f"a: {{sweep: {{{SWEEP}}}}}", "10000000000 comb", id="sweep"),
        pytest.param("lora: {}", f"a: {{sweep: {{window: [{MANY}]}}}}", "1001 comb", id="values"),
        pytest.param("3}", "3}, split: {kind: kfold, folds: 1000000000}", "1000000", id="folds"),
        pytest.param("{scenes: 3}", "{scenes: 1000000000}", "1000000000", id="scenes"),
        pytest.param("3}", "3}, split: {kind: kfold, folds: 10}", "10010 runs", id="runs"),
    ],
)
def test_what_would_make_too_many_runs_is_refused(tmp_path, old, new, words):
    seeds = f"chunk: 10\n  seeds: [{MANY}]"
    found = problems(BASE.replace(old, new).replace("chunk: 10", seeds), tmp_path)
    assert [problem for problem in found.values() if words in problem.found]


def test_a_message_is_not_endless():
    many = Problems("wrong", [Problem("a.yaml:1", "x" * 100_000)] * 1000)
    assert len(str(many)) < 200_000
    assert str(many).endswith("\nand 950 more")


@pytest.mark.parametrize("value", ["true", "1", "[]"])
def test_python_in_a_configuration_is_refused(tmp_path, value):
    found = problems(f"__use_yte__: {value}\n" + BASE, tmp_path)
    assert "runs Python" in found["1 (__use_yte__)"].expected


def test_a_mistake_is_attributed_to_the_file_or_option_that_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(BASE)
    Path("more.yaml").write_text("defaults:\n  window: -1\n")
    given = {"defaults": {"chunk": "many"}, "report": {"titel": "x"}, "experiments": {"b": [1]}}
    with pytest.raises(Problems) as caught:
        read_project(Path("config.yaml"), Path("more.yaml"), given=given)
    assert {problem.place for problem in caught.value.problems} == {
        "more.yaml:2 (experiments.lora.window)",
        "--config (experiments.lora.chunk)",
        "--config (report.titel)",
        "--config (experiments.b)",
    }


def test_later_files_and_options_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(BASE)
    Path("more.yaml").write_text("defaults: {window: 5, chunk: 5}\n")
    project = read_project(
        Path("config.yaml"), Path("more.yaml"), given={"defaults": {"chunk": "6"}}
    )
    assert (project.experiments["lora"].window, project.experiments["lora"].chunk) == (5, 6)


@pytest.mark.parametrize("kind", ["wide", "deep", "recursive"])
def test_options_are_limited_too(tmp_path, kind):
    value = ["x"]
    for _ in range(40):
        value = [value] * (1 if kind == "deep" else 10)
    if kind == "recursive":
        value.append(value)
    file = tmp_path / "config.yaml"
    file.write_text(BASE)
    with pytest.raises(Problems, match=r"\n--config: more settings than"):
        read_project(file, given={"report": value})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seeds: [18446744073709551616]", "less than 4294967296"),
        ("seeds: [99999999999999999999999999]", "less than 4294967296"),
        ("head: {hidden_size: 1000000000}", "less than or equal to 65536"),
        ("head: {mlp: [1000000000]}", "less than or equal to 65536"),
        ("head: {layers: 1000000000}", "less than or equal to 1000"),
        ("lora: {r: 1000000000000}", "less than or equal to 65536"),
        ("lora: {alpha: 1.0e+300}", "less than or equal to 1000000000"),
        ("window: 1000000000", "less than or equal to 10000"),
        ("chunk: 1000000000", "less than or equal to 10000"),
        ("training: {batch_size: 9223372036854775808}", "less than or equal to 1000000"),
        ("training: {epochs: 1000000000000}", "less than or equal to 1000000"),
        ("padding: {action_dim: 1000000000}", "less than or equal to 1000"),
        ("prompt: {template: '{side:>1000000000}'}", "write the name alone"),
        ("prompt: {template: '{side!r}'}", "write the name alone"),
    ],
)
def test_every_number_has_an_end(tmp_path, line, words):
    (problem,) = problems(BASE + f"  b: {{{line}}}\n", tmp_path).values()
    assert words in problem.found + problem.expected


def test_every_number_of_the_settings_has_an_end():
    for name, definition in config_schema()["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            for kind in _kinds(value):
                if kind.get("type") in ("integer", "number") and "const" not in kind:
                    assert kind.keys() & {"maximum", "exclusiveMaximum"}, f"{name}.{key}"


def _kinds(value):
    yield value
    for key in ("anyOf", "prefixItems"):
        for inner in value.get(key, ()):
            yield from _kinds(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(value.get(key), dict):
            yield from _kinds(value[key])


@pytest.mark.parametrize("section", ["experiments", "datasets", "backbones"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, section):
    for length in (200, 201):
        text = BASE.replace(f"{section}:\n", f"{section}:\n  {'x' * length}: PLACE\n")
        for name, entry in (
            ("experiments", "{}"),
            ("datasets", "{kind: simulated}"),
            ("backbones", "{weights: random}"),
        ):
            text = text.replace("PLACE", entry) if name == section else text
        if length == 200:
            load(text, tmp_path)
        else:
            (problem,) = problems(text, tmp_path).values()
            assert problem.found == "a name of 201 characters"


def test_a_combination_of_a_sweep_with_too_long_a_name_is_refused(tmp_path):
    text = BASE + f"  {'x' * 190}: {{sweep: {{lora.r: [4], training.learning_rate: [0.5]}}}}\n"
    (problem,) = problems(text, tmp_path).values()
    assert problem.found.startswith("a name of 2")


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ('{kind: recorded, path: ., pattern: "**.h5"}', "between slashes"),
        ('{kind: recorded, path: ., pattern: "a**b/*.h5"}', "between slashes"),
        ('{kind: recorded, path: ., pattern: "**"}', "matches folders alone"),
        ('{kind: recorded, path: ., pattern: "."}', "at no file"),
        ('{kind: recorded, path: ., pattern: ""}', "at no file"),
        ('{kind: recorded, path: ., pattern: "../*.h5"}', "other places"),
        ('{kind: recorded, path: ., pattern: "/data/*.h5"}', "other places"),
        ("{kind: recorded, path: ~somebody-else/x}", "can be no folder"),
        ("{kind: lerobot, path: ~somebody-else/x}", "can be no folder"),
        ("{kind: lerobot, path: ., every: 3, rate: 5}", "expected one of them"),
        (f"{{kind: recorded, path: {'x' * 300}}}", "can be no folder"),
    ],
)
def test_what_can_be_no_folder_or_pattern_is_refused(tmp_path, dataset, words):
    text = BASE.replace("datasets:\n", f"datasets:\n  mine: {dataset}\n")
    (problem,) = problems(text, tmp_path).values()
    assert words in problem.found


@pytest.mark.parametrize("column", ["-1", "5000", "true", "[1]", "''", "1.5"])
def test_what_is_no_column_is_refused(tmp_path, column):
    entry = f"{{kind: lerobot, path: ., columns: {{linear_x: {column}}}}}"
    ((place, problem),) = problems(
        BASE.replace("datasets:\n", f"datasets:\n  mine: {entry}\n"), tmp_path
    ).items()
    assert place.endswith("columns.linear_x)") and "a name such as x.vel" in problem.found


@pytest.mark.parametrize("pattern", ["*.h5", "**/*.h5", "day?/*.hdf5", "**/run/*"])
def test_what_can_match_a_file_is_a_pattern(tmp_path, pattern):
    entry = f'{{kind: recorded, path: ., pattern: "{pattern}"}}'
    load(BASE.replace("datasets:\n", f"datasets:\n  mine: {entry}\n"), tmp_path)


@pytest.mark.parametrize("made", ["nothing", "a file", "an empty folder"])
def test_a_checkpoint_that_is_not_there_is_said_in_the_plan(tmp_path, made):
    folder = tmp_path / "kosmos-2"
    if made == "a file":
        folder.touch()
    elif made == "an empty folder":
        folder.mkdir()
    with pytest.raises(Problems, match=r" \(backbones.real.checkpoint\): .*kosmos-2"):
        check_folder("real", PretrainedBackbone(checkpoint=str(folder)), Source())
    check_folder("tiny", RandomBackbone(weights="random"), Source())
    check_folder("hub", PretrainedBackbone(checkpoint="a/b", revision="0" * 40), Source())


@pytest.mark.parametrize(
    ("section", "key", "rest", "check"),
    [
        ("datasets", "path", {"kind": "recorded"}, recorded_files),
        ("datasets", "path", {"kind": "lerobot"}, lerobot_episodes),
        ("backbones", "checkpoint", {}, check_folder),
    ],
)
@pytest.mark.parametrize("stands", ["config.yaml:", "more.yaml:1 ", "--config "])
def test_a_folder_that_is_not_there_is_said_where_its_path_stands(
    tmp_path, monkeypatch, stands, section, key, rest, check
):
    monkeypatch.chdir(tmp_path)
    entry = json.dumps({**rest, key: "./nowhere"})
    Path("config.yaml").write_text(BASE.replace(f"{section}:", f"{section}:\n  mine: {entry}"))
    changed = {section: {"mine": {key: "./elsewhere"}}}
    Path("more.yaml").write_text(
        json.dumps(changed if stands.startswith("more") else {"report": {}})
    )
    given = changed if stands.startswith("--") else None
    project, source = read_with_source(Path("config.yaml"), Path("more.yaml"), given=given)
    with pytest.raises(UserError) as caught:
        check("mine", getattr(project, section)["mine"], source)
    (line,) = [line for line in str(caught.value).splitlines() if "where" in line]
    assert line.startswith(stands) and f"({section}.mine.{key}): " in line
