"""One training on two nodes comes to what one process on this machine comes to."""

import pytest

from support.processes import difference, weights

RUN = "results/experiments/lora/seed0"
TARGET = f"{RUN}/training_results.json"
ALONE = "    lora: {r: 4, dropout: 0}\n"
SPREAD = ALONE + "    training: {processes: 2, nodes: 2}\n"


@pytest.fixture
def alone(slurm, copied):
    """A project that has trained in one process, without dropout: each process drops others."""
    copied.edit("config.yaml", "    lora: {r: 4}\n", ALONE)
    copied.build(TARGET)
    return copied


def test_two_nodes_come_to_what_one_process_comes_to(alone, slurm, arguments, tmp_path):
    spread = alone.copy(tmp_path / "spread")
    spread.edit("config.yaml", ALONE, SPREAD)
    spread.environment = slurm.environment
    before = {job["id"] for job in slurm.jobs()}
    done = spread.snakemake(*arguments, TARGET)
    assert done.status == 0, done.output
    (job,) = [job for job in slurm.jobs() if job["id"] not in before]
    assert job["node"] == "n[1-2]"
    assert "TresPerJob=gres:gpu:2" in slurm.call("scontrol", "show", "job", job["id"])
    for kept in ("policy", "last"):
        one, other = (weights(project.folder / RUN / kept) for project in (alone, spread))
        assert 0 < difference(one, other) < 1e-5
