"""The contract of a study's samplers."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study

from multitask.settings import validate
from multitask.study import SamplerSettings
from multitask.study.per_trial import PerTrial, quieten
from multitask.testing.expect import expect


def opened(settings: SamplerSettings, storage: InMemoryStorage, seed: int = 0, objectives: int = 1) -> Study:
    """The study in the storage, taken up afresh, as a new launch does."""
    quieten()
    return optuna.create_study(
        study_name="test",
        storage=storage,
        sampler=PerTrial(settings, seed),
        directions=["maximize"] * objectives,
        load_if_exists=True,
    )


def advance(study: Study, trials: int) -> None:
    """Runs some trials of a space with a condition in it."""
    for _ in range(trials):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        if kind == "a":
            trial.suggest_float("rate", 1e-3, 1, log=True)
        else:
            trial.suggest_int("depth", 1, 9)
        score = -((x - 0.3) ** 2) - 0.1 * (kind == "b")
        study.tell(trial, [score, x][: len(study.directions)])


def params(study: Study) -> list[dict[str, Any]]:
    """Of each trial."""
    return [trial.params for trial in study.trials]


def builds_one_of_optunas_and_reads_back(settings: SamplerSettings, trials: int = 12) -> None:
    """A study keeps its settings."""
    built = settings.build(0)
    expect(isinstance(built, BaseSampler), settings, f"build a sampler of Optuna, not a {type(built).__name__}")
    again = validate(type(settings), settings.model_dump(mode="json"))
    expect(again == settings, settings, f"read back as it was written, not as {again!r}")


def study_that_was_interrupted_goes_on_as_one_that_was_not(settings: SamplerSettings, trials: int = 12) -> None:
    """A sampler is built anew for each trial: it knows of earlier ones what the study's storage holds."""
    whole, parts = InMemoryStorage(), InMemoryStorage()
    advance(opened(settings, whole), trials)
    for part in (1, trials - 3, 2):
        advance(opened(settings, parts), part)
    found, wanted = params(opened(settings, parts)), params(opened(settings, whole))
    rule = "draw in a study that was interrupted what it draws in one that was not, from seed and storage alone"
    expect(found == wanted, settings, rule)


def start_up_trials_are_not_repeated_by_another_launch(settings: SamplerSettings, trials: int = 12) -> None:
    """Nor by the launch after it."""
    storage = InMemoryStorage()
    for _ in range(3):
        advance(opened(settings, storage), 1)
    distinct = {trial["x"] for trial in params(opened(settings, storage))}
    expect(len(distinct) == 3, settings, "draw other values in each trial, whatever launch runs it")


def two_seeds_differ(settings: SamplerSettings, trials: int = 12) -> None:
    """In the first trials too."""
    drawn = []
    for seed in (0, 1):
        study = opened(settings, InMemoryStorage(), seed)
        advance(study, 3)
        drawn.append([trial["x"] for trial in params(study)])
    differ = all(one != other for one, other in zip(*drawn, strict=True))
    expect(differ, settings, "draw other values with another seed")


def two_machines_that_share_a_study_draw_differently(settings: SamplerSettings, trials: int = 12) -> None:
    """While both of their trials run."""
    storage = InMemoryStorage()
    one, two = (opened(settings, storage) for _ in range(2))
    drawn = [study.ask().suggest_float("x", 0, 1) for study in (one, two, one, two)]
    expect(len(set(drawn)) == 4, settings, "draw other values for each of the trials that run at once")


def serves_several_objectives(settings: SamplerSettings, trials: int = 12) -> None:
    """As a study may have."""
    study = opened(settings, InMemoryStorage(), objectives=2)
    try:
        advance(study, 4)
    except (ValueError, RuntimeError) as error:  # NotImplementedError is one
        raise AssertionError(f"{type(settings).__name__} must serve two objectives: {error}") from error


STUDY_SAMPLER_CHECKS = (
    builds_one_of_optunas_and_reads_back,
    study_that_was_interrupted_goes_on_as_one_that_was_not,
    start_up_trials_are_not_repeated_by_another_launch,
    two_seeds_differ,
    two_machines_that_share_a_study_draw_differently,
    serves_several_objectives,
)
"""What is checked of a study's sampler, each alone."""


def check_study_sampler(settings: SamplerSettings, trials: int = 12) -> None:
    """The contract of a study's samplers, whole, over one of them.

    >>> from multitask.study import SAMPLERS
    >>> check_study_sampler(SAMPLERS["tpe"](startup_trials=3))

    Args:
        settings: the sampler; with so short a random start that ``trials`` reach beyond it.
        trials: of the longest study that it is tried in, at least 5.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in STUDY_SAMPLER_CHECKS:
        check(settings, trials)
