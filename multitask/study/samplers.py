"""Samplers: the choice of the next trial's values."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from multitask.settings import Count, Int, PositiveInt, Settings, Table

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerSettings(Settings):
    """The settings of a sampler, which build Optuna's."""

    name: str

    @abstractmethod
    def build(self, seed: int) -> BaseSampler:
        """Optuna's sampler, seeded."""


SAMPLERS: Table[SamplerSettings] = Table("sampler", SamplerSettings, default="tpe")
"""The table of samplers; its rows stand in the package's ``__init__``."""

AnySampler = Annotated[SamplerSettings, SAMPLERS]


class TPESettings(SamplerSettings):
    """Tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023, https://arxiv.org/abs/2304.11127)."""

    name: Literal["tpe"] = "tpe"
    startup_trials: Annotated[Count, Field(le=1_000_000)] = 10
    """Trials that are drawn at random before it begins to learn."""
    candidates: Annotated[PositiveInt, Field(le=100_000)] = 24
    """Draws of which the most promising is tried."""

    def build(self, seed: int) -> BaseSampler:
        """Multivariate and grouped, so that conditional entries are sampled with those that they depend on."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import TPESampler

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
    """Independent random draws: the baseline of all other samplers."""

    name: Literal["random"] = "random"

    def build(self, seed: int) -> BaseSampler:
        """Optuna's ``RandomSampler``."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=seed)


class GPSettings(SamplerSettings):
    """Gaussian process with expected improvement: for few trials of few continuous settings."""

    name: Literal["gp"] = "gp"
    startup_trials: Annotated[Count, Field(le=1_000_000)] = 10

    def build(self, seed: int) -> BaseSampler:
        """Optuna's ``GPSampler``, deterministic in the seed."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import GPSampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return GPSampler(n_startup_trials=self.startup_trials, seed=seed, deterministic_objective=False)


class NSGAIISettings(SamplerSettings):
    """Genetic search for several objectives (Deb et al. 2002)."""

    name: Literal["nsga2"] = "nsga2"
    population: Annotated[Int, Field(ge=2, le=100_000)] = 20

    def build(self, seed: int) -> BaseSampler:
        """Optuna's ``NSGAIISampler``, which reads its population from the storage."""
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(population_size=self.population, seed=seed)
