"""Tensors of which each process has a part (``DTensor``), beside whole ones: their parts, and wholes of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def is_sharded(value: Any) -> bool:
    """Whether this process has only a part."""
    return hasattr(value, "to_local")


def local(value: Tensor) -> Tensor:
    """The part that this process has, which may have no element; a whole tensor itself."""
    part: Tensor = value.to_local() if is_sharded(value) else value  # type: ignore[attr-defined]
    return part


def like(part: Tensor, other: Tensor) -> Tensor:
    """A part as a tensor that is dealt as ``other`` is; itself where that is whole."""
    if not is_sharded(other):
        return part
    from torch.distributed.tensor import DTensor

    assert isinstance(other, DTensor)
    return DTensor.from_local(
        part.to(other.to_local().device), other.device_mesh, other.placements,
        run_check=False, shape=other.shape, stride=other.stride(),
    )  # fmt: skip


def dealt(value: Any, other: Any) -> Any:
    """A whole tensor, which all have, dealt as ``other`` is; itself where that is whole or of another shape."""
    if not is_sharded(other) or not isinstance(value, Tensor) or value.shape != other.shape:
        return value
    parts = value.chunk(other.device_mesh.size())  # as torch deals rows: the last may have fewer, or none
    place = other.device_mesh.get_local_rank()
    part = parts[place] if place < len(parts) else value[:0]
    return like(part.to(other.dtype).clone(), other)


@torch.no_grad()
def gathered(state: Any, keep: bool) -> Any:
    """Nested state with its sharded tensors whole, on the CPU; to be called by all processes.

    Args:
        state: of mappings, lists, tuples, tensors and plain values.
        keep: whether this process wants it; where not, a tensor is dropped as soon as the others have their parts.
    """
    if is_sharded(state):
        whole = state.full_tensor()
        return whole.cpu() if keep else None
    if isinstance(state, dict):
        return {key: gathered(value, keep) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [gathered(value, keep) for value in state]
    return state
