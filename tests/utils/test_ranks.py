from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from unittest.mock import Mock

import pytest

from multitask.errors import UserError
from multitask.utils.ranks import Ranks, _Word, joined, launched, ranks, refuse_several
from tests.over_ranks import over_ranks

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_the_launchers_variables_are_the_place_of_a_process() -> None:
    assert launched(WHOLE) == Ranks(1, 2, 1, 2)  # there must be two here, by the rank
    assert launched({**WHOLE, "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}) == Ranks(1, 8, 1, 4)
    assert launched({}) == launched({"WORLD_SIZE": "8"}) == Ranks()  # a scheduler's own word launches nothing


def test_one_process_needs_no_local_rank() -> None:
    assert launched({"RANK": "0", "WORLD_SIZE": "1"}) == Ranks()


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"RANK": "2"}, "RANK: must be less than WORLD_SIZE (2), found 2"),
        ({"RANK": "-1"}, "RANK: must be a whole number, as torchrun sets it, found '-1'"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE: must be a whole number, as torchrun sets it, found nothing"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE: must be at least 1, found 0"),
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK: must be a whole number, as torchrun sets it, found 'x'"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK: must be at most RANK (1), found 2"),
        (
            {"LOCAL_WORLD_SIZE": "1"},
            "LOCAL_WORLD_SIZE: must be above LOCAL_RANK (1) and at most WORLD_SIZE (2), found 1",
        ),
        (
            {"LOCAL_WORLD_SIZE": "two"},
            "LOCAL_WORLD_SIZE: must be a whole number, as torchrun sets it, found 'two'",
        ),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR: must name the machine of rank 0, since WORLD_SIZE is 2; found nothing"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT: must be from 1 to 65535, found 0"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT: must be a whole number, as torchrun sets it, found 'http'"),
    ],
)
def test_a_wrong_variable_is_one_line(wrong: dict[str, str], line: str) -> None:
    with pytest.raises(UserError) as error:
        launched({**WHOLE, **wrong})
    assert str(error.value) == line


@pytest.mark.parametrize(("num", "size"), [(7, 3), (4, 4), (2, 4), (0, 2)])
def test_rows_are_dealt_whole_and_evenly(num: int, size: int) -> None:
    parts = [range(num)[Ranks(rank, size).rows(num)] for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(num))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with joined() as here:
        assert here == ranks() == Ranks()
        assert here.gather(lambda: 3) == [3]
        assert here.from_main(lambda: 4) == 4


def test_a_command_of_one_process_refuses_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WHOLE, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="multitask study: works in one process, but WORLD_SIZE is 2"):
        refuse_several("study")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):  # rank 0 tells
        refuse_several("study")


def test_who_cannot_join_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WHOLE, "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="rank 1: cannot join the others at localhost:9"), joined(wait_s=1):
        pass


def test_no_default_of_a_function_keeps_the_group_and_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith("torch.distributed.nn.")]:
        monkeypatch.delitem(sys.modules, name)

    def kept(rank: int) -> list[str]:
        from torch.distributed import ProcessGroup
        from torch.distributed.nn import functional

        found = vars(functional).items()
        return [
            name
            for name, one in found
            if any(isinstance(d, ProcessGroup) for d in getattr(one, "__defaults__", None) or ())
        ]

    assert over_ranks(2, kept) == [[], []]


def test_the_time_to_wait_is_set_by_the_public_function_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.14 and later have one, and warn of the private one that it replaces."""
    import torch.distributed as dist
    from torch.distributed import distributed_c10d

    as_installed = getattr(dist, "set_timeout", None) or distributed_c10d._set_pg_timeout
    heard: list[timedelta] = []

    def set_timeout(timeout: timedelta) -> None:
        heard.append(timeout)
        as_installed(timeout)

    monkeypatch.setattr(dist, "set_timeout", set_timeout, raising=False)
    assert over_ranks(2, lambda rank: heard) == [[timedelta(hours=2)]] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_to_tell_of_the_end_is_not_interrupted_before_it_does(number: signal.Signals) -> None:
    class Store:
        def add(self, key: str, amount: int) -> int:
            os.kill(os.getpid(), number)  # of a launcher that has seen another process end
            return amount

    def hear(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, hear) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        _Word(Store(), Mock()).claim()
        os.kill(os.getpid(), number)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
