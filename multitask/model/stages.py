"""The stages of a backbone, from the input on, by which it is frozen and layer decay counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

import multitask.model.vision_ops  # noqa: F401  (before timm)
from multitask.errors import UserError

from timm.models import group_parameters  # isort: skip


def stages(body: Any, name: str, key: str) -> dict[int, list[str]]:
    """The names of the parameters of each stage, the stem's first.

    Args:
        body: a timm model.
        name: of the model.
        key: the setting that needs to know.

    Raises:
        UserError: neither timm nor the model's modules define its stages.
    """
    add_group_matcher(body, name, key)
    try:
        matcher = body.group_matcher(coarse=True)
    except (AssertionError, NotImplementedError):  # as RDNet, whose own knows blocks alone
        matcher = _of_modules(body, name, key)(coarse=True)
    found: dict[int, list[str]] = group_parameters(body, matcher)
    return found


def add_group_matcher(body: Any, name: str, key: str) -> None:
    """Gives a model that comes without timm's ``group_matcher`` one of its ``feature_info``, as its modules lie.

    Raises:
        UserError: they do not define the stages.
    """
    if not hasattr(body, "group_matcher"):
        body.group_matcher = _of_modules(body, name, key)


def is_list_member(modules: Mapping[str, nn.Module], name: str) -> bool:
    """Whether a module is in one of the model's outermost lists of modules, as a block of a ViT, and not within such.

    Args:
        modules: the model's, by name.
        name: of one of them.
    """

    def is_list(name: str) -> bool:
        return bool(name) and isinstance(modules[name], nn.Sequential | nn.ModuleList)

    outer = name.rpartition(".")[0]
    if not is_list(outer):
        return False
    while is_list(outer):  # as Twins' ``blocks.0.0``
        outer = outer.rpartition(".")[0]
    while outer:
        outer = outer.rpartition(".")[0]
        if is_list(outer):
            return False
    return True


def _of_modules(body: Any, name: str, key: str) -> _Matcher:
    parents = [str(stage["module"]).rpartition(".") for stage in getattr(body, "feature_info", [])]
    trunks = {parent for parent, _, leaf in parents if leaf.isdigit()}
    trunk = trunks.pop() if len(trunks) == 1 else None
    if trunk is None or not isinstance(_child(body, trunk), nn.Sequential | nn.ModuleList):
        raise UserError(f"{key}: timm does not say what the stages of {name} are; leave it out")
    names = [parameter for parameter, _ in body.named_parameters()]
    first = next(place for place, parameter in enumerate(names) if parameter.startswith(f"{trunk}."))
    stem = sorted({parameter.partition(".")[0] for parameter in names[:first]} - {trunk})
    return _Matcher(trunk, stem)


def _child(body: nn.Module, name: str) -> nn.Module | None:
    return dict(body.named_modules()).get(name)


class _Matcher:
    """A ``group_matcher`` as timm's models have it: regular expressions of the parameters' names."""

    def __init__(self, trunk: str, stem: list[str]) -> None:
        self.stem = rf"^(?:{'|'.join(map(re.escape, stem))})(?:\.|$)"
        self.trunk = rf"^{re.escape(trunk)}"

    def __call__(self, coarse: bool = False) -> dict[str, str | list[tuple[str, tuple[int] | None]]]:
        """Per stage where ``coarse``, else per block: what is in a stage before its blocks is with the first."""
        if coarse:
            return {"stem": self.stem, "blocks": rf"{self.trunk}\.(\d+)"}
        blocks: list[tuple[str, tuple[int] | None]] = [
            (rf"{self.trunk}\.(\d+)\.(?:blocks\.)?(\d+)\.", None),
            (rf"{self.trunk}\.(\d+)\.", (0,)),
        ]
        return {"stem": self.stem, "blocks": blocks}
