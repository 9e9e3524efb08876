"""What once went wrong unnoticed, by the number it has in the users' own list of failures."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
import yaml

from mobile_vla.audit.flags import flags
from mobile_vla.config.audit import AuditedExperiment, AuditSettings, Declared, FlagSettings
from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.loading import load_project
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.conventions import denormalise, normalise
from mobile_vla.data.manifest import manifest
from mobile_vla.data.prompts import PromptTable, render
from mobile_vla.data.result import Manifest
from mobile_vla.data.windows import make_windows
from mobile_vla.errors import Problems, UserError
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles, FlagFiles, ManifestFiles
from mobile_vla.runs.data import open_run
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.predict import predict
from support.clean_facts import assessed
from support.episode_corruptions import (
    FRAMES,
    SIZE,
    cut,
    images,
    link_to,
    paint,
    swap_colours,
    write,
)
from support.project import SMALL
from support.recorded import write_folder
from support.synthetic_datasets import changed, facts_of, make_dataset
from support.training_run import Inputs, settings_of

SIDES = ("left", "right")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"


def episodes(count=3, frames=18, cells=("core_close", "core_far")):
    return [
        facts_of(f"episode_20251103_0912{index:02}_1box_hori_{side}_{cell}", frames)
        for cell in cells
        for side in SIDES
        for index in range(count)
    ]


def findings(every, window=8, chunk=10, template="pass on the {side}", **declared):
    experiment = AuditedExperiment(
        name="ours",
        windows=Windows(window=window, chunk=chunk),
        prompt=Prompt(template=template),
    )
    settings = AuditSettings(
        dataset="made", declared=Declared(**declared), experiments=(experiment,)
    )
    return {one.code: one for one in assessed(every, settings)[0]}


def ingested(paths, folder, **how):
    """Ingest files; return their facts and where they lie."""
    files = []
    for path in paths:
        files.append(folder / "facts" / f"{path.stem}.json")
        wanted = IngestSettings(dataset="made", episode=path.stem, images=Images(**how).settled())
        ingest(wanted, EpisodeFiles(files[-1], files[-1].with_suffix(".npy")), raw=path)
    return [EpisodeFacts.read(file) for file in files], files


def test_failure_01_one_prompt_for_all_scenarios_is_an_error():
    """Named by the audit, refused when the configuration is read, and refused in training."""
    found = findings(episodes(), template="drive around the box")["same_prompt"]
    assert found.severity == "error"
    with pytest.raises(Problems, match="the same for left and right"):
        load_project(yaml.safe_load(SMALL.replace("on the {side}", "it")), [])
    scenarios = [facts.scenario for facts in episodes()]
    with pytest.raises(UserError, match="language cannot be learnt"):
        PromptTable.of(Prompt(template="go"), scenarios, ["a"] * len(scenarios))


def test_failure_03_a_prompt_knows_the_scenario_and_no_action():
    """It is one text for an episode, made of the name; no action or instruction can get into it."""
    prompt = Prompt(template="pass on the {side}")
    moved, still = (facts_of("x_left", actions=rows) for rows in ([[1.15, 0, 0]], [[0, 0, 0]]))
    assert render(prompt, moved.scenario) == render(prompt, still.scenario)
    table = PromptTable.of(prompt, [{"side": "left"}, {"side": "right"}], ["a", "b"])
    assert [table.texts[index] for index in table.of_episode] == [
        "pass on the left",
        "pass on the right",
    ]
    for leak in ("{action}", "{linear_y}", "{frame}"):
        with pytest.raises(ValueError, match="unknown placeholder"):
            Prompt(template=f"go {leak}")


def test_failure_12_a_window_and_chunk_longer_than_the_episodes_is_an_error(tmp_path):
    """With the numbers: when the configuration is read, in the audit, and where windows are cut."""
    found = findings(episodes(frames=17))["no_windows"]
    assert found.severity == "error"
    assert "all 12 episodes are too short" in str(found.found)
    assert "18 frames for window 8 and chunk 10" in str(found.expected)
    assert "longest episode has 17" in str(found.remedy)
    with pytest.raises(Problems, match="need 19 frames, and the episodes of 'demo' have 15"):
        load_project(yaml.safe_load(SMALL.replace("chunk: 4", "chunk: 16")), [])
    dataset = make_dataset(tmp_path, {"a": 17, "b": 12})
    with pytest.raises(UserError, match="need 18 frames, and the 2 episodes asked for have 12 to"):
        make_windows(dataset, [0, 1], Windows(window=8, chunk=10))


def test_failure_13_short_episodes_are_never_dropped_silently(tmp_path, caplog):
    """They are counted and named, and a category that vanishes with them is a finding."""
    short = episodes(frames=17, cells=("variant_far",))
    found = findings([*episodes(), *short])
    assert "6 of 18 episodes give no window" in str(found["too_short"].found)
    assert all(f"{facts.episode} (17)" in str(found["too_short"].found) for facts in short)
    assert found["cell_too_short"].place == "experiment ours, right far variant"
    dataset = make_dataset(tmp_path, {"a": 18, "b": 17})
    make_windows(dataset, [0, 1], Windows(window=8, chunk=10))
    assert "1 of 2 episodes are too short and give no window" in caplog.text
    assert "b (17)" in caplog.text


def test_failure_14_the_scale_has_an_exact_inverse_and_clipping_is_counted():
    scale = Actions().scale
    commands = np.array([0, 1.15, -1.15, 0.25, -0.25, 0.8], dtype=np.float32)
    np.testing.assert_array_equal(denormalise(normalise(commands, scale), scale), commands)
    tensors = torch.from_numpy(commands)
    assert torch.equal(denormalise(normalise(tensors, scale), scale), tensors)
    assert float(np.abs(normalise(commands, scale)).max()) == 1.0  # the usual command is inside
    (beyond,) = [
        one
        for code, one in findings(episodes(), actions=Actions(scale=1)).items()
        if code == "actions_beyond_scale"
    ]
    assert beyond.severity == "warning"
    assert "% of the values are beyond the scale; the largest: linear_x 1.15, linear_y 1.15" in str(
        beyond.found
    )


def test_failure_15_values_derived_from_the_prompt_never_count_as_predictions(tmp_path):
    """A policy whose head says nothing predicts nothing: no rule adds a direction on the way."""
    inputs, run = Inputs.make(tmp_path), settings_of()
    data = open_run(run, inputs.of_run(), "fp32")
    assert len(data.prompts.texts) == 2
    policy = build_policy(run.policy, 0, data).eval()
    assert np.abs(predict(policy, data.samples["test"], 64, "fp32", "lora")).max() > 0
    with torch.no_grad():
        for parameter in policy.head.mlp[-1].parameters():
            parameter.zero_()
    assert not predict(policy, data.samples["test"], 64, "fp32", "lora").any()


def test_failure_16_the_sign_of_y_is_held_against_the_side():
    first, *others = episodes()
    turned = changed(first, actions=[[x, -y, z] for x, y, z in first.actions])
    found = findings([turned, *others])["side_sign"]
    assert (found.severity, found.episode) == ("warning", turned.episode)
    assert "in an episode that passes on the left" in str(found.found)
    assert "y points to the left" in str(found.expected)
    every = [  # mixed up everywhere: each episode says so
        changed(facts, actions=[[x, -abs(y), z] for x, y, z in facts.actions])
        for facts in episodes()
    ]
    found_everywhere, _ = assessed(every, AuditSettings(dataset="made"))
    concerned = {one.episode for one in found_everywhere if one.code == "side_sign"}
    assert concerned == {facts.episode for facts in every if "_left_" in facts.episode}


def test_failure_17_bgr_is_declared_and_read_as_what_it_is(tmp_path):
    """Undeclared it is a warning; declared, the frames are those of the same pictures in RGB."""
    paths = write_folder(tmp_path / "rgb", 6, frames=6, size=SIZE)
    swapped = write_folder(tmp_path / "bgr", 6, frames=6, size=SIZE)
    for path in swapped:
        swap_colours(path)
    right, files = ingested(paths, tmp_path / "1")
    assert "probable_bgr" not in findings(right)
    wrong, _ = ingested(swapped, tmp_path / "2")
    assert findings(wrong)["probable_bgr"].severity == "warning"
    settled, twins = ingested(swapped, tmp_path / "3", color="bgr")
    assert "probable_bgr" not in findings(settled)
    for one, other in zip(files, twins, strict=True):
        frames, same = (np.load(file.with_suffix(".npy")) for file in (one, other))
        np.testing.assert_array_equal(frames, same)


def test_failure_22_broken_and_useless_files_are_quarantined_with_their_reasons(tmp_path):
    paths = write_folder(tmp_path / "raw", 8, size=SIZE)
    link_to(lambda _: "gone.h5")(paths[0])
    write(LFS)(paths[1])
    cut(0.7)(paths[2])
    paint(range(4, 9), 1)(paths[3])
    images(lambda found: found[:, ::2, ::2])(paths[4])
    with h5py.File(paths[5], "r+") as file:
        file["actions"][3] = np.nan
    facts, files = ingested(paths, tmp_path)
    outputs = FlagFiles(tmp_path / "flags.json")
    flags(FlagSettings(dataset="made"), outputs, facts=files)
    manifest(
        ManifestSettings(dataset="made", on_error="quarantine"),
        ManifestFiles(tmp_path / "manifest.json", tmp_path / "actions.npy"),
        facts=files,
        flags=outputs.flags,
    )
    content = Manifest.read(tmp_path / "manifest.json")
    reasons = {
        left_out.episode: [error.code for error in left_out.errors] or list(left_out.warnings)
        for left_out in content.quarantined
    }
    assert reasons == {
        paths[0].stem: ["broken_link"],
        paths[1].stem: ["lfs_pointer"],
        paths[2].stem: ["truncated"],
        paths[3].stem: ["black_frames"],
        paths[4].stem: ["other_image_size"],
        paths[5].stem: ["not_finite"],
    }
    assert [episode.name for episode in content.episodes] == [path.stem for path in paths[6:]]
    assert content.rows == 2 * FRAMES
    by_name = {episode.episode: episode for episode in facts}
    dark = findings([by_name[path.stem] for path in paths[3:]])["black_frames"]
    assert dark.place == "images, frames 4-8" and dark.frames == (4, 5, 6, 7, 8)
