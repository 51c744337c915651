"""A backbone that is shared up to one of its stages, with a copy of what follows for each group of tasks.

Any timm model can be branched, since none of its code is taken apart. The model runs whole: that is the trunk and the
first branch. Every other branch is a copy of the model in which the modules that run up to the branch point only give
again what the trunk's gave, so that the copy's own code begins to compute where the trunk ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoded, Trunks
from multitask.model.stages import is_list_member
from multitask.model.stand_in import Outputs, StandIn, giving, modules_before, modules_run, recording


class Branched(Trunks):
    """One model up to a stage, and from there on a branch for each group of tasks.

    The branches begin alike. A gradient of one group's tasks reaches its own branch, and what is shared gets the sum.

    Args:
        whole: the model; it becomes trunk and first branch.
        at: the last module that is shared, a stage as timm names it.
        groups: the tasks' names; a branch for each group.
        image_size: height and width in pixels of the images that it is tried with.

    Raises:
        UserError: the model has no such stage, cannot be branched there, or nothing that is trained follows it.
    """

    def __init__(self, whole: Backbone, at: str, groups: Sequence[Sequence[str]], image_size: tuple[int, int]) -> None:
        training = whole.training
        whole.eval()
        images = torch.randn(2, 3, *image_size, generator=torch.Generator().manual_seed(0))
        ran = modules_run(whole.body, images)
        stages = _stages(whole.body, ran)
        if at not in stages:
            raise UserError(f"model.sharing.at: {_nearest_first(at, stages)}")
        try:
            before = modules_before(ran, at)
            outputs, first = _outputs(whole, [*before, at], images)
            branches = [whole]
            for _ in groups[1:]:
                branches.append(_branch(whole, at, before, outputs, images))
            super().__init__(branches, groups)
            self.given = (*before, at)
            self._check(images, first)
        except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            lines = str(error).splitlines() or [type(error).__name__]
            raise UserError(f"model.sharing.at: the backbone cannot be branched at {at!r}: {lines[0]}") from None
        if any(branch.frozen for branch in branches[1:]):
            raise UserError(
                f"model.sharing.at: nothing that is trained follows {at!r}; branch earlier or freeze less; "
                f"it has the stages {', '.join(stages)}"
            )
        self.train(training)

    def forward_features(self, images: Tensor) -> Encoded:
        """The trunk runs once, and each branch on its output."""
        whole, *others = self._each()
        assert isinstance(whole, Backbone)
        with recording(whole.body, self.given) as outputs:
            trunks = [whole.forward_features(images)]
        for branch in others:
            assert isinstance(branch, Backbone)
            with giving(branch.body, outputs):
                trunks.append(branch.forward_features(images))
        return Encoded.side_by_side(trunks, self.tasks)

    def _check(self, images: Tensor, expected: Encoded) -> None:
        """Asserts that every branch gives the features of the whole model."""
        self.eval()
        with torch.no_grad():
            found = self.forward_features(images)
        if not all(trunk.is_close(expected) for trunk in found.trunks.values()):
            raise ValueError("a branch gives other features than the model does")


def _stages(body: Any, ran: Sequence[str]) -> list[str]:
    """The stages that timm names, of which some are modules that never run or are not there.

    Where none runs, they are the members of the model's outermost lists of modules, as MViTv2's ``stages.0``.

    Args:
        body: a timm model.
        ran: as ``modules_run`` gives them.
    """
    once = [name for name in ran if ran.count(name) == 1]
    named = [str(stage["module"]) for stage in getattr(body, "feature_info", [])]
    found = [name for name in named if name in once]
    modules = dict(body.named_modules())
    return found or [name for name in once if is_list_member(modules, name) and [*modules[name].parameters()]]


def _nearest_first(at: str, stages: Sequence[str]) -> str:
    if not stages:
        return "the backbone has no stages at which it could be branched"
    order = sorted(stages, key=lambda stage: SequenceMatcher(None, at, stage).ratio(), reverse=True)
    return f"the backbone has no stage {at!r}; it has {', '.join(order)}"


def _outputs(whole: Backbone, names: Sequence[str], images: Tensor) -> tuple[Outputs, Encoded]:
    """The outputs of the trunk's modules, and the features of the whole model."""
    with torch.no_grad(), recording(whole.body, names) as outputs:
        first = whole.forward_features(images)
    if not isinstance(outputs[names[-1]], Tensor):
        raise ValueError("it does not give one feature map")
    return outputs, first


def _branch(whole: Backbone, at: str, before: Sequence[str], outputs: Outputs, images: Tensor) -> Backbone:
    """A copy of the model that shares everything up to the branch point."""
    branch = deepcopy(whole)
    for name in (*before, at):
        parent, _, leaf = name.rpartition(".")
        setattr(branch.body.get_submodule(parent), leaf, StandIn(whole.body.get_submodule(name), clone=name == at))
    used = _used(branch, outputs, images)
    for name, _ in list(branch.body.named_parameters()):
        if name not in used:
            # Read by the model's own code on the way to the branch point, as position embeddings are. The trunk's
            # stands in its place as a plain attribute, so that it exists once for optimiser, average and checkpoint.
            parent, _, leaf = name.rpartition(".")
            owner = branch.body.get_submodule(parent)
            del owner._parameters[leaf]
            owner.__dict__[leaf] = whole.body.get_parameter(name)
    branch.note_frozen()
    return branch


def _used(branch: Backbone, outputs: Outputs, images: Tensor) -> set[str]:
    """The names of the parameters that a branch's features depend on, given the trunk's outputs."""
    parameters = dict(branch.body.named_parameters())
    trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
    branch.frozen = False
    branch.body.requires_grad_(True)
    with torch.enable_grad(), giving(branch.body, outputs):
        used = branch.forward_features(images).depends_on(parameters)
    for name, parameter in parameters.items():
        parameter.requires_grad = name in trained
    return used
