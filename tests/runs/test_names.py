from __future__ import annotations

from pathlib import Path

import pytest

from multitask.runs.folder import RunFolder
from multitask.runs.names import distinct_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/one", "runs/two"], ["one", "two"]),
        (["a/seed0", "b/seed0", "b/seed1"], ["a/seed0", "b/seed0", "seed1"]),
        (["a/x/seed0", "b/x/seed0"], ["a/x/seed0", "b/x/seed0"]),  # the folder between tells nothing
        (["seed0", "a/seed0", "b/a/seed0"], ["{here}/seed0", "{here}/a/seed0", "b/a/seed0"]),
        (["a/folds/0", "a/folds/1", "b/x"], ["a/folds/0", "a/folds/1", "x"]),
        (["a/run/folds/0", "b/run/members/0", "b/run/folds/0"], ["a/run/folds/0", "run/members/0", "b/run/folds/0"]),
        (["one", "../{here}/one"], ["one", "one"]),  # one run
        (["/run", "/a/run"], ["run", "a/run"]),
    ],
)
def test_a_name_is_as_much_of_the_path_as_is_needed(
    paths: list[str], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = distinct_names([RunFolder(Path(path.format(here=tmp_path.name))) for path in paths])
    assert found == [name.format(here=tmp_path.name) for name in names]
