"""A job over several processes: real ones, which talk over gloo."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

from multitask.errors import UserError
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.predict_files import predict_files
from multitask.inference.predictor import Predictor
from multitask.inference.prior_shift import answer_shifted
from multitask.inference.several_processes import check_job
from multitask.progress import Progress
from multitask.runs import several_processes
from multitask.runs.run import run
from multitask.utils.ranks import Ranks, ranks
from tests.over_ranks import over_ranks

assert answer_shifted  # imported before the fork, as all that jobs need
assert pandas

JOBS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain.csv": ("photos", {}, {"probabilities": True}),
    "skipped.jsonl": ("all.csv", {"skip_unreadable": True}, {"skip_unreadable": True, "batch_size": 5}),
    "grouped.json": ("photos", {"groups_by_folder": True}, {"batch_size": 7}),
    "sets.csv": ("list.txt", {}, {"coverage": 0.5, "sets": "aps-randomised", "max_risk": 0.4}),
    "table.parquet": ("photos/*/*.jpg", {}, {"probabilities": True, "batch_size": 3}),
    "few.csv": ("three.txt", {}, {"batch_size": 2}),
}


@pytest.fixture(scope="module")
def place(tiny: Callable[..., Any], drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, whose age is a group's, and images; not to be written to."""
    folder = tmp_path_factory.mktemp("jobs")
    changes = {"training.epochs": 1, "training.batch_size": 8, "labels.tasks.age.per_group": True}
    run(tiny({**changes, "data.val_fraction": 0.5}), folder / "run")
    (folder / "photos").symlink_to(drawn / "train" / "images")
    paths = [str(path.relative_to(folder)) for path in sorted((folder / "photos").rglob("*.jpg"))]
    (folder / "list.txt").write_text("\n".join(paths))
    (folder / "three.txt").write_text("\n".join(paths[:3]))
    (folder / "bad.jpg").write_text("no image")
    rows = [*paths[:9], "gone.jpg", *paths[9:20], "", "bad.jpg"]
    (folder / "all.csv").write_text("path,row\n" + "\n".join(f"{path},{row}" for row, path in enumerate(rows)))
    return folder


def answer(predictor: Predictor, names: list[str], folder: Path) -> list[tuple[int, int]]:
    found = []
    for name in names:
        path, options, how = JOBS[name]
        counts = predict_files(
            predictor, NamedInputs([path], InputOptions(**options)), folder / name, Progress(), **how
        )
        found.append((counts.images, counts.unreadable))
    return found


@pytest.fixture(scope="module")
def answered(place: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, list[Any]]]:
    """By the number of processes: where the answers are, and what the ranks say of how many there are."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for size in (1, 2, 4):
            folder = tmp_path_factory.mktemp(f"by{size}")

            def work(rank: int, folder: Path = folder) -> Any:
                plain, viewed = Predictor.load("run"), Predictor.load("run", views=["flip"])
                counts = answer(plain, [*JOBS], folder)
                predict_files(viewed, NamedInputs(["photos"], InputOptions()), folder / "viewed.csv", Progress())
                return counts

            found[size] = folder, [work(0)] if size == 1 else over_ranks(size, work)
    return found


@pytest.mark.parametrize("name", [*JOBS, "viewed.csv"])
def test_the_file_is_that_of_one_process_to_the_byte(answered: Any, name: str) -> None:
    expected = (answered[1][0] / name).read_bytes()
    assert len(expected) > 300
    for size in (2, 4):
        assert (answered[size][0] / name).read_bytes() == expected


def test_all_ranks_return_the_same_and_nothing_else_is_left(answered: Any) -> None:
    for folder, counts in answered.values():
        assert counts == [answered[1][1][0]] * len(counts)
        assert sorted(path.name for path in folder.iterdir()) == sorted([*JOBS, "viewed.csv"])
    assert dict(zip(JOBS, answered[1][1][0], strict=True))["skipped.jsonl"] == (23, 3)


def test_what_ends_a_job_is_one_line_and_no_file(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    predictor = Predictor.load("run")
    bad = [*(place / "list.txt").read_text().splitlines()[:30]]
    bad[11], bad[20] = "bad.jpg", "gone.jpg"
    (tmp_path / "bad.txt").write_text("\n".join(bad))

    def job(*paths: str, name: str = "x.csv", **options: Any) -> None:
        inputs = NamedInputs(paths, InputOptions())
        predict_files(predictor, inputs, tmp_path / name, Progress(), **options)

    def line(size: int, work: Callable[[int], None]) -> str:
        said = sorted(over_ranks(size, work))
        assert said[1:] == ["exit 2"] * (size - 1)
        return str(said[0]).removeprefix("UserError: ")

    with pytest.raises(UserError, match=r"bad\.jpg: .*not an image") as alone:
        job(str(tmp_path / "bad.txt"))
    # Batches of eight: it is in the second, and so rank 1's; of four processes rank 2's is worse off later.
    assert line(2, lambda rank: job(str(tmp_path / "bad.txt"))) == str(alone.value)
    assert line(4, lambda rank: job(str(tmp_path / "bad.txt"), batch_size=3)) == str(alone.value)
    lists = ["photos", "list.txt"]
    other = "rank 1: has other {} than rank 0; give all processes the same"
    assert line(2, lambda rank: job("photos", lists[rank])) == other.format("images, labels or groups")
    assert line(2, lambda rank: job("photos", batch_size=8 + rank)) == other.format("settings")
    assert line(2, lambda rank: job("photos", name="gone/x.csv")) == (
        f"{tmp_path}/gone/x.csv: there is no folder {tmp_path}/gone"
    )
    assert [*tmp_path.iterdir()] == [tmp_path / "bad.txt"]


def test_ranks_with_another_run_are_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several_processes, "_of_code", str)
    predictor = Predictor.load(place / "run")

    def work(rank: int) -> None:
        if rank == 2:
            monkeypatch.setattr(predictor.engine, "spec", predictor.spec.model_copy(update={"fingerprint": "other"}))
        check_job(predictor, [], "", ranks())

    assert "UserError: rank 2: has other run or engine than rank 0; give all processes the same" in over_ranks(3, work)
    check_job(predictor, [], "", Ranks())


@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_dies_ends_the_others_with_one_line(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: int
) -> None:
    monkeypatch.chdir(place)
    predictor = Predictor.load("run")
    compute = predictor.engine.log_probs

    def work(rank: int) -> None:
        num = []

        def die(images: Any) -> Any:
            num.append(1)
            if rank == who and len(num) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return compute(images)

        monkeypatch.setattr(predictor.engine, "log_probs", die)
        predict_files(predictor, NamedInputs(["photos"], InputOptions()), tmp_path / "x.csv", Progress(), batch_size=2)

    [line] = over_ranks(2, work, num_told=1)
    assert line.startswith(f"UserError: rank {1 - who}: another process of this launch is gone") or line == "exit 2"
    assert not (tmp_path / "x.csv").exists()
