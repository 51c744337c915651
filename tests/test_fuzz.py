"""Whatever is handed in, damaged in any way: one line and exit code 2, or something sensible; and nothing is lost.

More seeds than the suite has: ``FUZZ_CASES=5000 FUZZ_SEED=7 pytest -n 0 tests/test_fuzz.py``.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.fuzz.cases import KINDS, tried
from tests.fuzz.world import build

CASES = int(os.environ.get("FUZZ_CASES", "320"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, whole; not to be written to."""
    root = tmp_path_factory.mktemp("world") / "w"
    root.mkdir()
    build(root)
    return root


@pytest.mark.timeout(0 if CASES > 320 else 600)
@pytest.mark.filterwarnings("ignore")  # which are lines on the error stream, and counted there
def test_damaged_input_is_one_line_and_nothing_is_lost(world: Path, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    kinds = rng.choices(list(KINDS), weights=list(KINDS.values()), k=CASES)
    found = []
    for number, kind in enumerate(kinds):
        wrong = tried(kind, SEED * 1_000_003 + number, world, tmp_path / str(number))
        if wrong is not None:
            found.append(f"{number} {kind.__name__}: {wrong}")
    assert not found, f"{len(found)} of {CASES}:\n" + "\n".join(found)
