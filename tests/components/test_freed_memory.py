"""A job keeps the memory that a step frees, so that the next step does not get it cleared again."""

import ctypes
import subprocess
import sys

import pytest

# Faults of eight blocks of 256 MB, each written and freed; a process of its own, since the setting
# stays. Where the kernel gives huge pages unasked, a block has 128.
FAULTS = """
import resource, torch
from mobile_vla.machine import use_threads
if {kept}:
    use_threads(1, 1, "training.threads")
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(2**26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(kept=kept)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs the GNU C library")
def test_freed_memory_is_kept():
    given_back = faults(kept=False)
    assert given_back > 1000
    # A small block may lie in the place of a large one, which then gets another, once or twice.
    assert faults(kept=True) < given_back / 2
