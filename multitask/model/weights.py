"""Weights files: a backbone's tensors out of what this and other tools save. Nothing in a file is ever run."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import multitask.model.vision_ops  # noqa: F401  (before timm)
from multitask.errors import UserError
from multitask.utils.files import check_regular

from timm.models import clean_state_dict  # isort: skip

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Where training scripts keep a state dict, the averaged weights first."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, by name.

    Read are a state dict, plain or as timm's saver, Lightning and others wrap it, and a checkpoint of a run. A pickle
    is read by torch's reader of plain tensors, which runs nothing; of classes it is allowed ``argparse.Namespace``
    alone, a record of attributes in which timm's saver keeps its arguments.

    Raises:
        UserError: it cannot be read, or holds no tensors.
    """
    check_regular(path, "model.backbone.weights")
    try:
        if path.suffix == ".safetensors":
            return _of_run(load_file(path))
        with torch.serialization.safe_globals([argparse.Namespace]):
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever a damaged file makes of it
        reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's message explains how to run what the file holds
            reason = f"it is no file of plain tensors{_foreign(path)}"
        raise UserError(f"model.backbone.weights: {path} holds no weights that can be read safely: {reason}") from None
    for key in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    named = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not named or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.backbone.weights: {path} must hold a state dict of tensors")
    return dict(clean_state_dict(state))


def _of_run(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's tensors, averaged where they are, if the file is a run's own checkpoint; else all."""
    for part in ("/ema/", "/network/"):
        if own := {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}:
            return own
    return state


def _foreign(path: Path) -> str:
    """The classes that a pickle would need, as far as torch can tell."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a damaged file, or one of the old format
        return ""
    return f", but needs {', '.join(sorted(found))}; save its state dict alone" if found else ""


def unwrapped(state: Mapping[str, Tensor], names: Collection[str], path: Path) -> Mapping[str, Tensor]:
    """A state dict without what a wrapper puts before the backbone's names, as ``model.`` or ``backbone.body.``.

    Args:
        state: of the file.
        names: the tensors of the backbone.
        path: the file.

    Raises:
        UserError: the backbone stands in it several times.
    """
    counts: dict[str, int] = {}
    ends = {name.rpartition(".")[2] for name in names}
    known = set(names)
    for key in state:
        if key.rpartition(".")[2] not in ends:
            continue
        parts = key.split(".")
        for length in range(len(parts)):
            if ".".join(parts[length:]) in known:
                prefix = "".join(f"{part}." for part in parts[:length])
                counts[prefix] = counts.get(prefix, 0) + 1
    most = max(counts.values(), default=0)
    best = [prefix for prefix, count in counts.items() if count == most]
    if not best or counts.get("", 0) == most:
        return state
    if len(best) > 1:
        raise UserError(
            f"model.backbone.weights: {path} holds {len(best)} such networks: "
            f"{', '.join(prefix.rstrip('.') for prefix in best)}; save the state dict of one of them alone"
        )
    return {key.removeprefix(best[0]): value for key, value in state.items() if key.startswith(best[0])}
