from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from multitask.training.memory import keep_freed_memory
if sys.argv[1] == "kept": keep_freed_memory()
bytearray(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
block = bytearray(64 << 20)
block[::4096] = bytes(len(block[::4096]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
@pytest.mark.parametrize(("how", "expected"), [("kept", False), ("given back", True)])
def test_a_block_that_was_freed_serves_the_next_without_the_system(how: str, expected: bool) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
    pages = (64 << 20) // 4096
    # Either page by page, or in huge ones.
    assert (int(done.stdout) > pages // 512 // 2) == expected


def test_the_package_leaves_the_threads_of_openmp_as_the_library_sets_them() -> None:
    code = (
        "import os; before = dict(os.environ); import multitask.training.loop; print(dict(os.environ).keys() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "GOMP" not in done.stdout
    assert "OMP_" not in done.stdout
