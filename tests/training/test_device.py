from __future__ import annotations

import pytest
import torch

from multitask.errors import UserError
from multitask.training.device import resolve_device, resolve_precision


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


def test_half_precision_only_where_the_device_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert resolve_precision("auto", cpu) == torch.float32
    for has, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert resolve_precision("auto", gpu) == expected
    assert resolve_precision("fp32", gpu) == torch.float32
    assert resolve_precision("bf16", cpu) == torch.bfloat16
