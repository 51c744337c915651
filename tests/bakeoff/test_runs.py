from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.bakeoff.runs import Ticking, is_run_of
from multitask.config import Config
from multitask.progress import StudyProgress
from multitask.runs.folder import RunFolder


def test_whom_a_run_told_its_scores_makes_it_no_other(tiny: Callable[..., Config], tmp_path: Path) -> None:
    (folder := RunFolder(tmp_path)).config.write_text(tiny().to_yaml())
    assert is_run_of(folder, tiny({"tracking": ["csv"]}))
    assert not is_run_of(folder, tiny({"seed": 1}))


def test_a_warning_of_a_run_names_it() -> None:
    with pytest.warns(RuntimeWarning, match=r"^flat, seed 0: a tracker failed$"):
        Ticking(StudyProgress(), "flat, seed 0").warn("a tracker failed")
