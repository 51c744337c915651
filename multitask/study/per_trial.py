"""Optuna's samplers, seeded anew for every trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from multitask.study import trial_attrs
from multitask.study.samplers import SamplerSettings
from multitask.utils.seeds import derive


class PerTrial(BaseSampler):
    """A sampler whose randomness depends on the study's seed and the trial's place alone.

    One seeded sampler would repeat its first draws each time that a study is resumed; this one goes on as if it
    had never stopped, and two machines that share a study draw differently.

    Args:
        settings: of the sampler.
        seed: the study's.
    """

    def __init__(self, settings: SamplerSettings, seed: int) -> None:
        self._build: Callable[[int], BaseSampler] = settings.build
        self._seed = seed
        self._inner: BaseSampler = settings.build(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """A fresh sampler for this trial: seeded by its number among those that are sampled.

        A lost trial's retry takes a number and draws nothing, and is left out of the count, so that a study which was
        killed goes on with what it would have tried.
        """
        retries = sum(
            trial_attrs.RETRY_OF in other.user_attrs and other.number < trial.number
            for other in study.get_trials(deepcopy=False)
        )
        self._inner = self._build(derive(self._seed, "sampler", trial.number - retries))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Passed on to the trial's sampler."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Passed on to the trial's sampler."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Passed on to the trial's sampler."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Passed on to the trial's sampler."""
        self._inner.after_trial(study, trial, state, values)


def quieten() -> None:
    """Optuna's log lines would run through the table of running trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
