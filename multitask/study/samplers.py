"""Samplers: who chooses what the next trial tries."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from multitask.seeds import derive
from multitask.settings import Count, Int, PositiveInt, Settings, variants


class SamplerSettings(Settings):
    """What every sampler has."""

    name: str

    @abstractmethod
    def build(self, seed: int) -> BaseSampler:
        """Optuna's sampler."""


class TPESettings(SamplerSettings):
    """Tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023, https://arxiv.org/abs/2304.11127)."""

    name: Literal["tpe"] = "tpe"
    startup_trials: Count = 10
    """Trials that are drawn at random before it begins to learn."""
    candidates: PositiveInt = 24
    """Draws of which the most promising is tried."""

    def build(self, seed: int) -> BaseSampler:
        """Grouped, so that conditional entries are sampled with what they belong to."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                n_startup_trials=self.startup_trials,
                n_ei_candidates=self.candidates,
                multivariate=True,
                group=True,
                seed=seed,
            )


class RandomSettings(SamplerSettings):
    """Every trial for itself: the yardstick of all others."""

    name: Literal["random"] = "random"

    def build(self, seed: int) -> BaseSampler:
        """Independent draws."""
        return RandomSampler(seed=seed)


class GPSettings(SamplerSettings):
    """Gaussian process with expected improvement: for few trials of few continuous settings."""

    name: Literal["gp"] = "gp"
    startup_trials: Count = 10

    def build(self, seed: int) -> BaseSampler:
        """Deterministic in the seed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return GPSampler(n_startup_trials=self.startup_trials, seed=seed, deterministic_objective=False)


class NSGAIISettings(SamplerSettings):
    """Genetic search for several objectives (Deb et al. 2002)."""

    name: Literal["nsga2"] = "nsga2"
    population: Annotated[Int, Field(ge=2)] = 20

    def build(self, seed: int) -> BaseSampler:
        """Its population is read from the storage."""
        return NSGAIISampler(population_size=self.population, seed=seed)


AnySampler = Annotated[TPESettings | RandomSettings | GPSettings | NSGAIISettings, *variants("tpe")]
"""The table of samplers."""


class PerTrial(BaseSampler):
    """A sampler whose randomness depends on the study's seed and the trial's number alone.

    One seeded sampler would repeat its first draws each time that a study is taken up again; this one goes on as if it
    had never stopped, and two machines that share a study draw differently.

    Args:
        settings: which sampler.
        seed: the study's.
    """

    def __init__(self, settings: SamplerSettings, seed: int) -> None:
        self._build: Callable[[int], BaseSampler] = settings.build
        self._seed = seed
        self._inner: BaseSampler = settings.build(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """A fresh sampler for this trial."""
        self._inner = self._build(derive(self._seed, "sampler", trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the sampler does."""
        self._inner.after_trial(study, trial, state, values)


def quieten() -> None:
    """Optuna's log lines would run through the table of running trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
