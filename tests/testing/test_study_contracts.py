"""The suites of a study's samplers, pruners and entries over rows of one's own, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler

from multitask.config import Config
from multitask.settings import Changes
from multitask.study import PrunerSettings, SamplerSettings
from multitask.study.parameters import BaseValues, FloatEntry, Suggester
from multitask.study.pruners import History
from multitask.testing import check_entry, check_pruner, check_study_sampler

# --- samplers ---------------------------------------------------------------------------------------------------------


class PlainSettings(SamplerSettings):
    name: Literal["plain"] = "plain"

    def build(self, seed: int) -> BaseSampler:
        return RandomSampler(seed)


class UnseededSettings(PlainSettings):
    def build(self, seed: int) -> BaseSampler:
        return RandomSampler()


class OneSeedSettings(PlainSettings):
    def build(self, seed: int) -> BaseSampler:
        return RandomSampler(0)


class NoSamplerSettings(PlainSettings):
    def build(self, seed: int) -> Any:
        return NopPruner()


class _Single(RandomSampler):
    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
        study.direction  # noqa: B018  # which Optuna refuses where there are several
        return super().sample_relative(study, trial, search_space)


class SingleSettings(PlainSettings):
    def build(self, seed: int) -> BaseSampler:
        return _Single(seed)


def test_a_sampler() -> None:
    check_study_sampler(PlainSettings())
    for row, said in (
        (NoSamplerSettings(), "build a sampler of Optuna, not a NopPruner"),
        (UnseededSettings(), "draw in a study that was interrupted what it draws in one that was not"),
        (OneSeedSettings(), "draw other values in each trial, whatever launch runs it"),
        (SingleSettings(), "serve two objectives"),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_study_sampler(row)


# --- pruners ----------------------------------------------------------------------------------------------------------


class MineSettings(PrunerSettings):
    name: Literal["mine"] = "mine"

    def build(self, num_epochs: int) -> BasePruner:
        return MedianPruner(n_startup_trials=2)

    def verdict(self, trial: Any, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        return "below the median" if trial.should_prune() else None


class ThirdSettings(MineSettings):
    """Stops every third trial."""

    def verdict(self, trial: Any, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        return "third" if trial.number % 3 == 2 else None


class StrictSettings(MineSettings):
    """Cannot do without a score."""

    def verdict(self, trial: Any, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        assert all(row.joint is not None for row in history), "a score is missing"
        return None


class TrueSettings(MineSettings):
    """Answers whether, not why."""

    def verdict(self, trial: Any, history: History, others: Mapping[int, History], num_epochs: int) -> Any:
        return trial.should_prune() or None


class SeveralSettings(MineSettings):
    """Says that it can judge several objectives, but asks Optuna."""

    several_objectives: ClassVar[bool] = True


class ScorelessSettings(MineSettings):
    """Says that it needs no scores, but asks Optuna, which judges by them."""

    needs_scores: ClassVar[bool] = False


def test_a_pruner() -> None:
    check_pruner(MineSettings())
    for row, said in (
        (ThirdSettings(), "never stop the best trial so far, as trial 2: third"),
        (TrueSettings(), "say in a line why a trial is stopped, or None where it is not; not "),
        (ScorelessSettings(), "judge alike without a reported score"),
        (SeveralSettings(), "judge several objectives by the histories, without trial.should_prune"),
    ):
        with pytest.raises(AssertionError, match=rf"^{type(row).__name__} must {said}"):
            check_pruner(row)
    with pytest.raises(AssertionError, match="a score is missing"):
        check_pruner(StrictSettings())


# --- entries ----------------------------------------------------------------------------------------------------------


class HalvesEntry(FloatEntry):
    """A number between two ends, of which the config gets half."""

    kind: Literal["halves"] = "halves"  # type: ignore[assignment]

    def changes(self, path: str, values: tuple[Any, ...], base: BaseValues) -> Changes:
        return {path: values[0] / 2}

    def base_values(self, path: str, base: BaseValues) -> tuple[Any, ...] | None:
        value = base.settings[path] * 2
        return (value,) if self.contains(value) else None


class WholeBaseEntry(HalvesEntry):
    """Takes the config's value for the parameter's."""

    def base_values(self, path: str, base: BaseValues) -> tuple[Any, ...] | None:
        return (base.settings[path],)


class OpenEntry(HalvesEntry):
    """Does not hold its own ends."""

    def contains(self, value: Any) -> bool:
        return isinstance(value, float) and self.low < value < self.high


class AnythingEntry(HalvesEntry):
    def contains(self, value: Any) -> bool:
        return True


class WiderEntry(HalvesEntry):
    """Draws from another distribution than it says."""

    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, 2 * self.high)


class NamelessEntry(HalvesEntry):
    def names(self, path: str, base: BaseValues) -> tuple[str, ...]:
        return ()


class TwiceEntry(HalvesEntry):
    """Draws values that it does not hold."""

    def suggest(self, trial: Suggester, name: str) -> float:
        return 2 * super().suggest(trial, name)


def test_an_entry(tiny: Callable[..., Config]) -> None:
    path, config = "augment.strength", tiny()
    check_entry(HalvesEntry(low=0.2, high=1.8), path, config)
    for kind, said in (
        (NamelessEntry, "name its parameters"),
        (OpenEntry, "contain its end 0.2"),
        (TwiceEntry, "contain what it suggests, as "),
        (WiderEntry, "suggest from the distribution that it says"),
        (AnythingEntry, "not contain "),
        (WholeBaseEntry, "give the base's own augment.strength again, 0.3, not 0.15"),
    ):
        with pytest.raises(AssertionError, match=rf"^{kind.__name__} must {said}"):
            check_entry(kind(low=0.2, high=1.8), path, config)
    with pytest.raises(AssertionError, match=r"^HalvesEntry must make a config that is right of its end 5\.0: augment"):
        check_entry(HalvesEntry(low=0.2, high=5.0), path, config)
