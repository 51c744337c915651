"""Checkpoints: nested state as one safetensors file, written whole, checked when read, never unpickled."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from multitask.errors import UserError
from multitask.utils.files import check_regular, write_atomically

_VERSION = 1


def _pack(value: Any, tensors: dict[str, Tensor], path: str) -> Any:
    """``value`` with its tensors moved to ``tensors`` and everything else as JSON can hold it."""
    if isinstance(value, Tensor):
        while path in tensors:  # another key with a / in it, or the number beside the word
            path += "'"
        tensors[path] = value.detach().cpu().contiguous().clone()
        return {"tensor": path}
    if isinstance(value, dict):
        # As pairs: an optimiser's keys are numbers, which JSON's cannot be.
        return {"pairs": [[key, _pack(item, tensors, f"{path}/{key}")] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"items": [_pack(item, tensors, f"{path}/{index}") for index, item in enumerate(value)]}
    assert value is None or isinstance(value, (bool, int, float, str)), f"{path} holds a {type(value).__name__}"
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "pairs" in value:
        return {key: _unpack(item, tensors) for key, item in value["pairs"]}
    return [_unpack(item, tensors) for item in value["items"]]


def _checksum(tensors: dict[str, Tensor], text: str) -> str:
    """A checksum of the tensors, and of their names, types and shapes, which their bytes do not contain."""
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        value = zlib.crc32(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode(), value)
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes nested dicts and lists of tensors, numbers and strings; tuples come back as lists.

    Raises:
        OSError: it cannot be written; an older checkpoint of that name stands.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_pack(state, tensors, ""))
    metadata = {"version": str(_VERSION), "state": text, "checksum": _checksum(tensors, text)}
    write_atomically(path, save(tensors, metadata))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state that ``save_checkpoint`` wrote, on the CPU.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    if not path.is_dir():  # of a pipe the library would wait for a writer, deaf to every signal
        check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: is damaged: {error}") from None
    if metadata.get("version") != str(_VERSION):
        raise UserError(f"{path}: is no checkpoint of version {_VERSION}, found {metadata.get('version')}")
    if metadata.get("checksum") != _checksum(tensors, metadata.get("state", "")):
        raise UserError(f"{path}: is damaged: its checksum does not match its content")
    try:
        state = _unpack(json.loads(metadata["state"]), tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: its state cannot be read ({type(error).__name__}: {error})") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: is damaged: its state is no mapping")
    return state
