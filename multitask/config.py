"""The config: every component's section in one file, checked whole before anything is read or trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.balancers import AnyBalancer, FixedSettings
from multitask.data.augment_settings import AugmentSettings
from multitask.data.held_out import check_labels_left
from multitask.data.settings import DataSettings
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError, nearest
from multitask.evaluation.decode import AnyDecode, IndependentSettings
from multitask.evaluation.settings import EvaluationSettings
from multitask.labels import JOINT, LabelSettings, LabelSpace
from multitask.losses import AnyLoss, CrossEntropySettings
from multitask.losses.objective import Objective
from multitask.model.heads import AnyNet, LinearSettings
from multitask.model.settings import AnyTerm, LowRankSettings, NoTermSettings
from multitask.model.sharing import BranchSettings, ModelSettings
from multitask.settings import (
    Changes,
    ConfigPath,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    Settings,
    expand,
    load_extensions,
    named_extensions,
    not_loaded,
    override,
    parse_override,
    validate,
)
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.tracking import AnyTracker
from multitask.training.settings import TrainingSettings
from multitask.utils.spelling import Name


class HeadSettings(Settings):
    """The ``heads.<task>`` section."""

    weight: NonNegativeFloat = 1.0
    """Of the head's loss in the sum; only the ratios of the heads matter beside the learning rate."""
    loss: AnyLoss = CrossEntropySettings()
    net: AnyNet = LinearSettings()
    """From features to the logits of the task."""


class JointSettings(Settings):
    """The ``joint`` section: what is learned of the classes as a whole, beside what each head learns."""

    term: AnyTerm = LowRankSettings()
    """R, which is added to the heads' log-probabilities."""
    loss: AnyLoss = CrossEntropySettings()
    """Of the classes that can occur."""
    weight: PositiveFloat = 1.0
    """Of the joint loss in the sum, as of a head's loss."""


class Config(Settings):
    """The config of a run: every section, checked together."""

    extensions: Annotated[tuple[ConfigPath, ...], Field(exclude_if=lambda paths: not paths)] = ()
    """Files of Python code of your own that add rows to the tables, as ``LOSSES["mine"] = MyLoss``. They are imported
    before the rest is checked, and only where the command line says ``--allow-extensions``."""
    seed: Seed = 0
    """The seed that every random choice derives from."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1``; ``auto``: a GPU where there is one."""
    labels: LabelSettings
    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    model: ModelSettings = ModelSettings()
    heads: dict[Name, HeadSettings] = {}
    """By task; one that is left out has the defaults. With ``model.sharing: flat`` there is one, called ``class``."""
    joint: JointSettings | None = None
    """None: every head speaks for itself."""
    balancer: AnyBalancer = FixedSettings()
    """The method that turns the losses into one backward step."""
    training: TrainingSettings = TrainingSettings()
    decode: AnyDecode = IndependentSettings()
    """Fitted after training, on the groups that validate; after each epoch a rule that must be fitted is the joint
    arg-max, so that epochs stay cheap."""
    tracking: Annotated[tuple[AnyTracker, ...], Field(exclude_if=lambda rows: not rows)] = ()
    """The trackers that are told each epoch's scores and the report's; none of them is a reason to stop a run."""
    final: Annotated[ConfigPath | None, Field(exclude_if=lambda path: path is None)] = None
    """The folder of a run in folds: what it fitted on its out-of-fold predictions (decode rule, temperatures, pooling,
    prediction sets) decodes this run, all of whose groups train. ``multitask final`` writes it."""

    @model_validator(mode="after")
    def _check(self) -> Config:
        if missing := not_loaded(self.extensions):
            raise ValueError(f"extensions: {missing[0]} was not imported before the config was checked")
        try:
            self.data.source.check(self.space())
        except UserError as error:
            raise UserError(f"data.source.{error}") from None
        names = self.learned_space().task_names
        for source, weights in self.data.loss_weights().items():
            for name in weights:
                if name not in (losses := (*names, *([JOINT] if self.joint is not None else []))):
                    key = f"data.source.sources.{source}.weights.{name}"
                    raise ValueError(f"{key}: there is no such loss{nearest(name, losses)}")
        self.model.sharing.check(self.learned_space())
        for name in self.heads:
            if name not in names:
                why = f" (model.sharing is {self.model.sharing.name})" if names != self.space().task_names else ""
                raise ValueError(f"heads.{name}: there is no such head{why}{nearest(name, names)}")
        # Every head stands in the resolved config, also those left at their defaults.
        object.__setattr__(self, "heads", {name: self.heads.get(name, HeadSettings()) for name in names})
        if self.model.batch_norm == "per_source":
            if not isinstance(self.data.source, SeveralSettings) or self.data.source.target is None:
                raise ValueError("model.batch_norm: per_source needs several sources and data.source.target")
            if self.data.source.queried != self.data.source.target:
                raise ValueError(
                    "data.source.query_source: must be the target, whose statistics count where model.batch_norm is "
                    f"per_source, found {self.data.source.queried}"
                )
            if self.augment.mixes:
                raise ValueError("augment.mix: mixes images of several sources, which model.batch_norm keeps apart")
        names_of_trackers = [row.name for row in self.tracking]
        if len(set(names_of_trackers)) < len(names_of_trackers):
            raise ValueError(f"tracking: names each tracker once, found {', '.join(names_of_trackers)}")
        if not any(head.weight for head in self.heads.values()):
            raise ValueError("heads: at least one weight must be above 0")
        for task in self.learned_space().tasks:
            self.heads[task.name].net.check(task)
            for line in self.heads[task.name].loss.problems(task):
                raise ValueError(f"heads.{task.name}.loss.{line}")
        if self.joint is not None:
            for line in self.joint.loss.problems(self.objective().joint_task()):
                raise ValueError(f"joint.loss.{line}")
        if self.joint is not None and len(names) == 1 and not isinstance(self.joint.term, NoTermSettings):
            raise ValueError("joint: needs several heads, but one head learns the classes whole; leave it out")
        self._check_features()
        self.balancer.check(self.loss_weights(), self._unshared(), self._past_pooling())
        if (problem := self.decode.problem(self.space().num_classes)) is not None:
            raise ValueError(f"decode.name: {problem}")
        metrics = scored_metrics(self.space())
        if self.training.monitor not in metrics:
            raise ValueError(
                f"training.monitor: unknown score {self.training.monitor!r}{nearest(self.training.monitor, metrics)}"
            )
        if self.data.none_validate and self.training.patience is not None:
            raise ValueError("training.patience: needs groups that validate, but data.val_fraction is 0")
        self._check_consistency()
        self._check_parallel()
        if self.data.contradictions != "error" and not any(task.per_group for task in self.space().tasks):
            raise ValueError(
                f"data.contradictions: {self.data.contradictions} would be ignored: no task is declared per_group: true"
            )
        if self.data.none_validate and self.training.keep_rule.name == "lower_bound":
            raise ValueError(
                "training.keep.name: lower_bound needs groups that validate, but data.val_fraction is 0; last and mean "
                "do not"
            )
        if self.data.pick_fraction and self.training.keep.name is None and not self.training.monitors:
            raise ValueError(
                f"data.pick_fraction: {self.data.pick_fraction:g} of the groups would pick, but the last epoch is "
                "kept; say training.keep.name: best, or last if that is meant"
            )
        if self.data.held_out:
            space, unseen = self.space(), self.unseen()
            check_labels_left(
                space, *(space.decode(np.flatnonzero(cells)) for cells in (space.possible, space.possible & ~unseen))
            )
        if self.final is not None and not self.data.none_validate:
            raise ValueError("final: would be ignored where groups validate; data.val_fraction must be 0, and no folds")
        if self.data.none_validate and self.decode.needs_validation and self.final is None:
            raise ValueError(
                f"decode.name: {self.decode.name!r} needs groups that validate, but data.val_fraction is 0"
            )
        return self

    def _check_features(self) -> None:
        """Refuses kept features that could not stand for the images."""
        features = self.model.backbone.features
        if features is None:
            return
        if self.augment.mixes:
            raise ValueError(
                "augment.mix: mixes images, which features that are kept (model.backbone.features) cannot follow; "
                "set mixup_prob and cutmix_prob to 0"
            )
        used = self.data.augmentations(self.augment)
        augments = [f"{key} is {one.strength:g}" for key, one in used.items() if one.augments]
        if features.views == 1 and augments:
            raise ValueError(
                f"model.backbone.features: would keep plain images alone, but {augments[0]}; set views to 2 or more, "
                "or the strength to 0"
            )
        if features.views > 1 and not augments:
            found = ", ".join(f"{key} is {one.strength:g}" for key, one in used.items())
            raise ValueError(
                f"model.backbone.features.views: {features.views} views would be alike, since nothing is augmented "
                f"({found}); use 1, or augment"
            )

    def _check_parallel(self) -> None:
        """Refuses shards of a network of which there are none, or that cannot be made."""
        if self.training.parallel != "fsdp":
            return
        key = "training.parallel: fsdp"
        if self.model.backbone.freeze == "all":
            raise ValueError(f"{key} shards what is trained, but model.backbone.freeze is all; use ddp")
        if isinstance(self.model.sharing, BranchSettings):
            raise ValueError(f"{key} cannot shard branches, which share weights; use ddp, or model.sharing shared")
        if self.balancer.needs_layer:
            raise ValueError(
                f"{key} keeps no whole layer, whose gradients balancer {self.balancer.name} needs; use ddp, or another "
                "balancer"
            )

    def _check_consistency(self) -> None:
        if self.training.consistency is None:
            return
        if self.learned_space() != self.space():
            raise ValueError(
                f"training.consistency: needs a head for each task, but model.sharing is {self.model.sharing.name}"
            )
        if not isinstance(self.balancer, FixedSettings):
            raise ValueError(
                f"training.consistency: is a part of each head's loss that only balancer: fixed adds up, found "
                f"{self.balancer.name}"
            )
        if self.augment.mixes:
            raise ValueError(
                "training.consistency: a mixed image belongs to two groups; set augment.mix.mixup_prob and cutmix_prob "
                "to 0"
            )

    def _unshared(self) -> str | None:
        """Why the heads share no network that is trained; None: they do."""
        if self.model.sharing.apart:
            return f"model.sharing is {self.model.sharing.name}"
        return "model.backbone.freeze is all" if self.model.backbone.freeze == "all" else None

    def _past_pooling(self) -> str | None:
        """Why the pooled features are not all that the heads read; None: they are."""
        for name, head in self.heads.items():
            if head.net.reads_map:
                return f"heads.{name}.net is {head.net.name}, which reads the map that is pooled"
        return None

    def with_changes(self, changes: Mapping[str, Any]) -> Config:
        """The config with other settings, checked anew.

        Args:
            changes: dotted key -> value.

        Raises:
            UserError: they do not go together.
        """
        return validate(Config, override(Config, self.model_dump(mode="json"), changes))

    def space(self) -> LabelSpace:
        """The label space."""
        return LabelSpace.from_settings(self.labels)

    def learned_space(self) -> LabelSpace:
        """The label space that the heads learn, of the same classes."""
        return self.model.sharing.learned(self.space())

    def objective(self) -> Objective:
        """The losses that the network is trained with."""
        heads = {name: head.loss for name, head in self.heads.items()}
        return Objective(self.learned_space(), heads, None if self.joint is None else self.joint.loss)

    def evaluation(self) -> EvaluationSettings:
        """The settings by which predictions are decoded, scored and reported."""
        joint_term = self.joint is not None and not isinstance(self.joint.term, NoTermSettings)
        return EvaluationSettings(
            self.space(),
            self.seed,
            self.objective(),
            self.decode,
            joint_term,
            self.unseen(),
            self.training.monitor if self.training.monitors else None,
            self.model.backbone.name,
            self.model.sharing.name,
            self._kept(),
        )

    def _kept(self) -> str | None:
        """By which rule weights are kept; None: those who validate pick the best epoch."""
        keep, picks = self.training.keep_rule, self.data.pick_fraction
        if keep.name == "best" and not picks:
            return None
        share = f", picked by {picks:g} of the groups that train" if keep.asks and picks else ""
        return keep.in_words(self.training.monitor) + share

    def loss_weights(self) -> dict[str, float]:
        """Every loss and what it counts: the heads', and the joint term's where there is one."""
        weights = {name: head.weight for name, head in self.heads.items()}
        return weights if self.joint is None else {**weights, JOINT: self.joint.weight}

    def unseen(self) -> NDArray[np.bool_]:
        """(C,) bool, the classes that are held out of training."""
        space = self.space()
        return space.cells(self.data.held_out, "data.held_out") & space.possible

    def to_yaml(self) -> str:
        """The whole config, defaults and all; it can be run as it is."""
        return dump_yaml(self.model_dump(mode="json"))


def scored_metrics(space: LabelSpace) -> tuple[str, ...]:
    """The scores that are taken after every epoch."""
    names = ("macro_f1", "accuracy", "loss")
    return (
        *(f"joint.{name}" for name in names),
        *(f"tasks.{task}.{name}" for task in space.task_names for name in names),
    )


_OTHERWISE = ", or --set {path}=..."


def read_config(
    path: Path,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> tuple[dict[str, Any], Path]:
    """A config file's data with overrides, not yet checked, and the folder its paths are relative to.

    Args:
        path: the file.
        overrides: ``key=value``, as from ``--set``.
        changes: dotted key -> value; ``overrides`` go before them.
        allow_extensions: whether the code that the config names may run; what it adds to the tables is then there.

    Raises:
        UserError: the file cannot be read, or an override is malformed.
        ExtensionError: the config names code that is not allowed, is not there, or fails.
    """
    given: Changes = {**(changes or {}), **dict(parse_override(text) for text in overrides)}
    written, folder = read_yaml(path), path.parent.resolve()
    # Before the overrides, which look up what the keys of a row are.
    named = expand({"extensions": {**written, **given}.get("extensions", ())}, otherwise=_OTHERWISE)
    load_extensions(named_extensions(named, folder), str(path), allow_extensions)
    return expand(override(Config, written, given), otherwise=_OTHERWISE), folder


def load_config(
    path: Path,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> Config:
    """A config file with overrides, as in ``read_config``.

    Raises:
        UserError: as one line; the file's name where the file is at fault, the key where a setting is.
    """
    data, folder = read_config(path, overrides, changes, allow_extensions=allow_extensions)
    return validate(Config, data, folder)


def stored_config(data: Mapping[str, Any], where: Path, *, allow_extensions: bool = False) -> Config:
    """A config as a file that a program wrote holds it: every path in it is absolute.

    Args:
        data: the config.
        where: the file, for errors.
        allow_extensions: whether the code that the config names may run.

    Raises:
        UserError: a setting is wrong.
        ExtensionError: as in ``read_config``.
    """
    load_extensions(named_extensions(data), str(where), allow_extensions)
    return validate(Config, data)
