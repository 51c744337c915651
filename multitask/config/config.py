"""The config: every component's section in one file, checked whole before anything is read or trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.balancers import AnyBalancer, FixedSettings
from multitask.config import checks
from multitask.data.augment_settings import AugmentSettings
from multitask.data.settings import DataSettings
from multitask.evaluation.decode import AnyDecode, IndependentSettings
from multitask.evaluation.settings import EvaluationSettings
from multitask.labels import JOINT, LabelSettings, LabelSpace
from multitask.losses import AnyLoss, CrossEntropySettings
from multitask.losses.objective import Objective
from multitask.model.heads import AnyNet, LinearSettings
from multitask.model.settings import AnyTerm, LowRankSettings, NoTermSettings
from multitask.model.sharing import ModelSettings
from multitask.settings import (
    ConfigPath,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    Settings,
    not_loaded,
    override,
    validate,
)
from multitask.settings.yaml_text import dump_yaml
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
        checks.check_source(self)
        self.model.sharing.check(self.learned_space())
        checks.check_head_names(self)
        # Every head stands in the resolved config, also those left at their defaults.
        object.__setattr__(
            self, "heads", {name: self.heads.get(name, HeadSettings()) for name in self.learned_space().task_names}
        )
        checks.check_batch_norm(self)
        checks.check_trackers(self)
        checks.check_losses(self)
        checks.check_cache_dir(self)
        checks.check_features(self)
        checks.check_balancer(self)
        checks.check_scores(self)
        checks.check_consistency(self)
        checks.check_parallel(self)
        checks.check_sides(self)
        return self

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
        return self.labels.space()

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
            self.data.sampler,
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
