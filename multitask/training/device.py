"""The device and precision of a network, and deterministic results on it."""

from __future__ import annotations

import os

import torch

from multitask.errors import UserError
from multitask.training.settings import Precision
from multitask.utils.ranks import ranks


def resolve_device(name: str) -> torch.device:
    """The device of this name; ``auto`` is a GPU where there is one, and of several processes each has its own.

    Raises:
        UserError: there is no such device here, or it cannot be every process's.
    """
    here = ranks()
    several = max(here.size, here.local_size)
    if several > 1 and name.startswith("cuda:"):
        raise UserError(f"device: must be auto, cpu or cuda in one of {several} processes, found {name}")
    if several > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
        if here.local_rank >= (found := torch.cuda.device_count()):
            raise UserError(
                f"LOCAL_RANK: must be less than the number of CUDA devices ({found}), found {here.local_rank}"
            )
        torch.cuda.set_device(here.local_rank)
        return torch.device("cuda", here.local_rank)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device: must be auto, cpu, cuda or cuda:N, found {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device: must be auto, cpu, cuda or cuda:N, found {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device: {name} is not here; this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that the network computes in.

    ``auto`` is half precision on a GPU that gains from it (bfloat16 if it has it) and float32 on a CPU, where autocast
    costs small networks more than it saves.
    """
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which networks compute in a type; with float32 it changes nothing."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def make_deterministic(device: torch.device) -> None:
    """Two runs of one config on one machine give the same numbers. On a CPU they do with no more than seeds."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # A few backward passes have no deterministic kernel: they warn rather than fail.
        torch.use_deterministic_algorithms(True, warn_only=True)
