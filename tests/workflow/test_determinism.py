"""Two clones compute the same bytes."""

from support.project import Project
from support.promised import promised


def test_two_clones_compute_the_same_bytes(finished, tmp_path):
    other = Project(tmp_path / "somewhere" / "else")
    other.build("--cores", "1")
    one, two = promised(finished), promised(other)
    assert one.keys() == two.keys()
    different = [name for name in one if one[name] != two[name]]
    assert different == []
    for name in ("metrics.csv", "evaluation.json", "predictions.npz", "policy/head.safetensors"):
        assert f"experiments/lora/seed0/{name}" in one
    for name in ("language.json", "rollouts.json", "rollouts.npz"):
        assert f"experiments/lora/seed0/{name}" in one
