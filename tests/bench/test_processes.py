from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from multitask.bench import processes
from multitask.config import Config
from multitask.progress import Progress


def test_each_side_launches_its_number_of_processes_of_one_thread(tmp_path: Path) -> None:
    side = processes.LaunchedTraining(2, "seed: 0\n", False, tmp_path)
    words = side.words(tmp_path / "out")
    assert words[:2] == ["torch.distributed.run", "--standalone"]
    assert words[2:7] == ["--nproc-per-node", "2", "-m", "multitask", "train"]
    assert side.environment == {"OMP_NUM_THREADS": "1"}


def test_the_ratio_is_two_to_one_without_what_warms_up(
    tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {2: iter([1.0, 18.0, 19.0, 20.0]), 1: iter([1.0, 10.0, 10.0, 10.0])}

    @contextmanager
    def benched(path: Path | None, people: int) -> Iterator[Config]:
        yield tiny()

    def run(side: processes.LaunchedTraining) -> None:
        side.speeds.append(next(speeds[side._num]))

    monkeypatch.setattr(processes, "benched", benched)
    monkeypatch.setattr(processes.LaunchedTraining, "__call__", run)
    [found] = processes.measure_processes(None, Progress())
    assert (found.ratio, found.ours, found.other, found.bound) == (1.9, 19.0, 10.0, 1.8)
