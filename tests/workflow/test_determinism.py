"""Two clones compute the same bytes."""

from support.project import Project

TIMED = ("timing.json", "timing.html", "latency.json", "training_results.json")
COMPUTED = ("datasets", "backbones", "features", "experiments")


def promised(project):
    """Return the bytes of all results that hold no times."""
    found = {}
    for file in sorted((project.folder / "results").rglob("*")):
        name = file.relative_to(project.folder / "results")
        timed = name.name in TIMED or name.name.endswith(".provenance.json")
        untracked = {"tensorboard", ".work"} & set(name.parts)
        if file.is_file() and name.parts[0] in COMPUTED and not timed and not untracked:
            found[str(name)] = file.read_bytes()
    return found


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
