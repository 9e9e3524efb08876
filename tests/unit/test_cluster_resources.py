"""What a job asks a cluster for: by its timing where there is one, and more at each attempt."""

import json

import pytest

from mobile_vla.cluster_resources import model_mb, training_mb, training_minutes
from support.training_results import timing_of


@pytest.fixture
def backbone(tmp_path):
    """A description of weights of 3.3 GB."""
    path = tmp_path / "backbone.json"
    files = {"model.safetensors": {"size": 3_299_000_000}, "config.json": {"size": 1_000_000}}
    path.write_text(json.dumps({"name": "kosmos2", "files": files}))
    return path


def timed(path, device="cpu"):
    """Write a timing of 5 GB and two hours."""
    timing = timing_of("lora", total=5_000_000_000)
    timing.model_copy(update={"device": device, "projected_seconds": 7200.0}).write(path)
    return path


def test_memory_comes_from_the_timing(tmp_path, backbone):
    assert training_mb(timed(tmp_path / "timing.json"), backbone, 1, 1) == 6500 + 500


def test_on_a_gpu_the_estimate_is_of_other_memory(tmp_path, backbone):
    on_gpu = timed(tmp_path / "timing.json", device="cuda")
    assert training_mb(on_gpu, backbone, 1, 1) == model_mb(backbone, 1) == 2000 + 4 * 3300 + 500


def test_without_a_timing_memory_comes_from_the_weights(tmp_path, backbone):
    assert training_mb(tmp_path / "none.json", backbone, 1, 1) == model_mb(backbone, 1)


def test_without_anything_something_is_asked_for(tmp_path):
    assert training_mb(tmp_path / "none.json", tmp_path / "none.json", 1, 1) == 2500
    assert training_minutes(tmp_path / "none.json", 1) == 250


def test_each_process_needs_its_own_memory(tmp_path, backbone):
    assert training_mb(timed(tmp_path / "timing.json"), backbone, 3, 1) == 3 * 6500 + 500
    assert training_mb(tmp_path / "none.json", backbone, 3, 1) == 3 * model_mb(backbone, 1)


def test_the_run_time_is_twice_what_was_projected(tmp_path):
    assert training_minutes(timed(tmp_path / "timing.json"), 1) == 10 + 240


def test_each_attempt_asks_for_twice_as_much(tmp_path, backbone):
    timing = timed(tmp_path / "timing.json")
    for ask in (
        lambda attempt: training_mb(timing, backbone, 1, attempt),
        lambda attempt: model_mb(backbone, attempt),
        lambda attempt: training_minutes(timing, attempt),
    ):
        assert [ask(2), ask(3)] == [2 * ask(1), 4 * ask(1)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"device": "cpu"}'])
def test_a_damaged_timing_counts_as_none(tmp_path, backbone, text):
    timing = tmp_path / "timing.json"
    timing.write_text(text)
    assert training_mb(timing, backbone, 1, 1) == model_mb(backbone, 1)
    assert training_minutes(timing, 1) == 250
