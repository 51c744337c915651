from __future__ import annotations

import pytest

from multitask.errors import UserError
from multitask.utils.ranks import Ranks, launched, refuse_several

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


def test_a_command_of_one_process_refuses_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WHOLE, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="multitask study: works in one process, but WORLD_SIZE is 2"):
        refuse_several("study")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):  # rank 0 tells
        refuse_several("study")
