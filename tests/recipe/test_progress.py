from __future__ import annotations

from pathlib import Path

import pytest

from multitask.progress import StudyProgress
from multitask.recipe.budget import Clock
from multitask.recipe.progress import FoldProgress, Timed


def test_a_warning_of_a_run_for_use_names_its_stage_and_fold(tmp_path: Path) -> None:
    progress = FoldProgress(
        Timed(StudyProgress(), Clock(tmp_path / "clock.json", 60)), "tiny, folds", "joint.loss", 2, 1
    )
    with pytest.warns(RuntimeWarning, match=r"^tiny, folds: no room$"):
        progress.warn("no room")
    progress.fold(1, 2, done=False)
    with pytest.warns(RuntimeWarning, match=r"^tiny, folds, fold 2: a tracker failed$"):
        progress.warn("a tracker failed")
