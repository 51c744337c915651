from __future__ import annotations

import pytest
import torch

from multitask.errors import UserError
from multitask.training.device import resolve_device, resolve_precision
from multitask.utils.ranks import Ranks, alone


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert resolve_device("auto").type == expected


@pytest.mark.parametrize("name", ["gpu", "tpu", "meta", "mps", "cuda:x", ""])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"^device: must be auto, cpu, cuda or cuda:N, found '{name}'$"):
        resolve_device(name)


def test_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"^device: cuda:2 is not here; this machine has 2 CUDA devices$"):
        resolve_device("cuda:2")


def test_each_of_several_processes_has_a_gpu_of_its_own_also_where_it_works_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    with alone(Ranks(3, 4, 1, 2)):
        assert [resolve_device(name) for name in ("auto", "cuda")] == [torch.device("cuda:1")] * 2
        assert chosen == [1, 1]
        assert resolve_device("cpu") == torch.device("cpu")
        with pytest.raises(UserError, match=r"^device: must be auto, cpu or cuda in one of 2 processes, found cuda:0$"):
            resolve_device("cuda:0")
    with (
        alone(Ranks(2, 3, 2, 3)),
        pytest.raises(UserError, match=r"^LOCAL_RANK: must be less than the number of CUDA devices \(2\), found 2$"),
    ):
        resolve_device("auto")
    with alone(Ranks(1, 2, 0, 1)):  # the only one of its machine
        assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_half_precision_only_where_the_device_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert resolve_precision("auto", cpu) == torch.float32
    for has, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert resolve_precision("auto", gpu) == expected
    assert resolve_precision("fp32", gpu) == torch.float32
    assert resolve_precision("bf16", cpu) == torch.bfloat16
