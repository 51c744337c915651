"""Checks of the sections of a config together; each names the key at fault.

All raise a ValueError, which pydantic hands on as the config's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multitask.balancers import FixedSettings
from multitask.data.held_out import check_labels_left
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError, nearest
from multitask.labels import JOINT, LabelSpace
from multitask.model.settings import NoTermSettings
from multitask.model.sharing import BranchSettings

if TYPE_CHECKING:
    from multitask.config.config import Config


def scored_metrics(space: LabelSpace) -> tuple[str, ...]:
    """The scores that are taken after every epoch."""
    names = ("macro_f1", "accuracy", "loss")
    return (
        *(f"joint.{name}" for name in names),
        *(f"tasks.{task}.{name}" for task in space.task_names for name in names),
    )


def check_source(config: Config) -> None:
    """The source and the label space; and that sources weigh only losses that there are."""
    try:
        config.data.source.check(config.space())
    except UserError as error:
        raise UserError(f"data.source.{error}") from None
    names = config.learned_space().task_names
    for source, weights in config.data.loss_weights().items():
        for name in weights:
            if name not in (losses := (*names, *([JOINT] if config.joint is not None else []))):
                key = f"data.source.sources.{source}.weights.{name}"
                raise ValueError(f"{key}: there is no such loss{nearest(name, losses)}")


def check_head_names(config: Config) -> None:
    """Every head's section is of a head that there is."""
    names = config.learned_space().task_names
    for name in config.heads:
        if name not in names:
            why = f" (model.sharing is {config.model.sharing.name})" if names != config.space().task_names else ""
            raise ValueError(f"heads.{name}: there is no such head{why}{nearest(name, names)}")


def check_batch_norm(config: Config) -> None:
    """Statistics per source need several sources, and images that stay in theirs."""
    if config.model.batch_norm != "per_source":
        return
    if not isinstance(config.data.source, SeveralSettings) or config.data.source.target is None:
        raise ValueError("model.batch_norm: per_source needs several sources and data.source.target")
    if config.data.source.queried != config.data.source.target:
        raise ValueError(
            "data.source.query_source: must be the target, whose statistics count where model.batch_norm is "
            f"per_source, found {config.data.source.queried}"
        )
    if config.augment.mixes:
        raise ValueError("augment.mix: mixes images of several sources, which model.batch_norm keeps apart")


def check_trackers(config: Config) -> None:
    """Each tracker once."""
    names = [row.name for row in config.tracking]
    if len(set(names)) < len(names):
        raise ValueError(f"tracking: names each tracker once, found {', '.join(names)}")


def check_losses(config: Config) -> None:
    """Heads, the joint term and their losses go with the tasks."""
    if not any(head.weight for head in config.heads.values()):
        raise ValueError("heads: at least one weight must be above 0")
    for task in config.learned_space().tasks:
        config.heads[task.name].net.check(task)
        for line in config.heads[task.name].loss.problems(task):
            raise ValueError(f"heads.{task.name}.loss.{line}")
    if config.joint is not None:
        for line in config.joint.loss.problems(config.objective().joint_task()):
            raise ValueError(f"joint.loss.{line}")
    if (
        config.joint is not None
        and config.learned_space().num_tasks == 1
        and not isinstance(config.joint.term, NoTermSettings)
    ):
        raise ValueError("joint: needs several heads, but one head learns the classes whole; leave it out")


def check_cache_dir(config: Config) -> None:
    """Refuses a folder in which nothing would be kept: neither images nor what frozen stages make of them."""
    data, backbone = config.data, config.model.backbone
    keeps_features = backbone.features is not None or backbone.freeze == "all"
    if data.cache_dir is not None and data.cache in ("memory", "none") and not keeps_features:
        raise ValueError(f"data.cache_dir: would be ignored, since cache is {data.cache}")


def check_features(config: Config) -> None:
    """Refuses kept features that could not stand for the images."""
    features = config.model.backbone.features
    if features is None:
        return
    if config.augment.mixes:
        raise ValueError(
            "augment.mix: mixes images, which features that are kept (model.backbone.features) cannot follow; "
            "set mixup_prob and cutmix_prob to 0"
        )
    used = config.data.augmentations(config.augment)
    changing = [(section, *one.changing) for section, one in used.items() if one.changing is not None]
    if features.views == 1 and changing:
        section, key, value = changing[0]
        raise ValueError(
            f"model.backbone.features: would keep plain images alone, but {section}.{key} is {value:g}; set views to 2 "
            f"or more, or the {key.rpartition('.')[2]} to 0"
        )
    if features.views > 1 and not changing:
        found = ", ".join(f"{section}.strength is {one.strength:g}" for section, one in used.items())
        raise ValueError(
            f"model.backbone.features.views: {features.views} views would be alike, since nothing is augmented "
            f"({found}); use 1, or augment"
        )


def check_balancer(config: Config) -> None:
    """The balancer and what the heads share."""
    config.balancer.check(config.loss_weights(), _unshared(config), _past_pooling(config))


def check_scores(config: Config) -> None:
    """The decode rule can be computed, and what decides over epochs is scored after each."""
    if (problem := config.decode.problem(config.space().num_classes)) is not None:
        raise ValueError(f"decode.name: {problem}")
    metrics = scored_metrics(config.space())
    if config.training.monitor not in metrics:
        raise ValueError(
            f"training.monitor: unknown score {config.training.monitor!r}{nearest(config.training.monitor, metrics)}"
        )
    if config.data.none_validate and config.training.patience is not None:
        raise ValueError("training.patience: needs groups that validate, but data.val_fraction is 0")


def check_consistency(config: Config) -> None:
    """The loss of answers that differ within a group needs heads, a balancer and images that go with it."""
    if config.training.consistency is None:
        return
    if config.learned_space() != config.space():
        raise ValueError(
            f"training.consistency: needs a head for each task, but model.sharing is {config.model.sharing.name}"
        )
    if not isinstance(config.balancer, FixedSettings):
        raise ValueError(
            f"training.consistency: is a part of each head's loss that only balancer: fixed adds up, found "
            f"{config.balancer.name}"
        )
    if config.augment.mixes:
        raise ValueError(
            "training.consistency: a mixed image belongs to two groups; set augment.mix.mixup_prob and cutmix_prob to 0"
        )


def check_parallel(config: Config) -> None:
    """Refuses shards of a network of which there are none, or that cannot be made."""
    if config.training.parallel != "fsdp":
        return
    key = "training.parallel: fsdp"
    if config.model.backbone.freeze == "all":
        raise ValueError(f"{key} shards what is trained, but model.backbone.freeze is all; use ddp")
    if config.model.backbone.features is not None:
        raise ValueError(
            f"{key} shards networks that read images, not what their frozen stages gave (model.backbone.features); use "
            "ddp, or leave features out"
        )
    if isinstance(config.model.sharing, BranchSettings):
        raise ValueError(f"{key} cannot shard branches, which share weights; use ddp, or model.sharing shared")
    if config.balancer.needs_layer:
        raise ValueError(
            f"{key} keeps no whole layer, whose gradients balancer {config.balancer.name} needs; use ddp, or another "
            "balancer"
        )


def check_sides(config: Config) -> None:
    """What is asked of those who validate or pick goes with whether there are any, and training keeps all labels."""
    if config.data.contradictions != "error" and not any(task.per_group for task in config.space().tasks):
        raise ValueError(
            f"data.contradictions: {config.data.contradictions} would be ignored: no task is declared per_group: true"
        )
    if config.data.none_validate and config.training.keep_rule.name == "lower_bound":
        raise ValueError(
            "training.keep.name: lower_bound needs groups that validate, but data.val_fraction is 0; last and mean "
            "do not"
        )
    if config.data.pick_fraction and config.training.keep.name is None and not config.training.monitors:
        raise ValueError(
            f"data.pick_fraction: {config.data.pick_fraction:g} of the groups would pick, but the last epoch is "
            "kept; say training.keep.name: best, or last if that is meant"
        )
    if config.data.held_out:
        space, unseen = config.space(), config.unseen()
        check_labels_left(
            space, *(space.decode(np.flatnonzero(cells)) for cells in (space.possible, space.possible & ~unseen))
        )
    if config.final is not None and not config.data.none_validate:
        raise ValueError("final: would be ignored where groups validate; data.val_fraction must be 0, and no folds")
    if config.data.none_validate and config.decode.needs_validation and config.final is None:
        raise ValueError(f"decode.name: {config.decode.name!r} needs groups that validate, but data.val_fraction is 0")


def _unshared(config: Config) -> str | None:
    """Why the heads share no network that is trained; None: they do."""
    if config.model.sharing.apart:
        return f"model.sharing is {config.model.sharing.name}"
    return "model.backbone.freeze is all" if config.model.backbone.freeze == "all" else None


def _past_pooling(config: Config) -> str | None:
    """Why the pooled features are not all that the heads read; None: they are."""
    for name, head in config.heads.items():
        if head.net.reads_map:
            return f"heads.{name}.net is {head.net.name}, which reads the map that is pooled"
    return None
