"""The names of timm's models, weights and optimisers, read from its source, since importing it takes seconds.

A name that is not found there is looked up in timm itself, which may build names at import.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_MODEL = re.compile(r"\n@register_model\s*\ndef (\w+)")  # begins with a literal: four times as fast as with ^
_OPTIMIZER = re.compile(r"""(?:OptimInfo\(\s*(?:name=)?|register_alias\()["'](\w+)["']""")


def _folder() -> Path:
    package = find_spec("timm")
    assert package is not None, "timm is a dependency"
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0])


@cache
def _sources() -> dict[str, Path]:
    """Model name -> the file that registers it."""
    files = sorted((_folder() / "models").glob("*.py"))
    return {name: file for file in files for name in _MODEL.findall(file.read_text(encoding="utf-8"))}


def is_model(name: str) -> bool:
    """Whether timm has an architecture of this name, without a tag of weights."""
    if name in _sources():
        return True
    from multitask.model.vision_ops import timm

    return bool(timm.is_model(name))


def model_names() -> Collection[str]:
    """The architectures that timm's source registers."""
    return _sources().keys()


def has_weights(name: str) -> bool:
    """Whether timm knows a tag of weights: ``name`` is ``architecture.tag``, or plainly an architecture."""
    model, _, tag = name.partition(".")
    if not tag or name in pretrained_names(model):
        return True
    from multitask.model.vision_ops import timm

    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        return False
    return True


def pretrained_names(model: str) -> Collection[str]:
    """``model.tag`` for each tag that the model's source file has for it."""
    source = _sources()[model].read_text(encoding="utf-8") if model in _sources() else ""
    return re.findall(rf"""^\s+["']({model}\.[\w.\-]+)\*?["']\s*:""", source, re.MULTILINE)


@cache
def optimizer_names() -> Collection[str]:
    """The optimisers that timm's source registers."""
    return set(_OPTIMIZER.findall((_folder() / "optim" / "_optim_factory.py").read_text(encoding="utf-8")))


def is_optimizer(name: str) -> bool:
    """Whether timm has an optimiser of this name."""
    if name in optimizer_names():
        return True
    from multitask.model.vision_ops import timm

    return name in timm.optim.list_optimizers()
