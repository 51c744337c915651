from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from multitask.settings import Settings, problems, validate
from multitask.study import SAMPLERS
from multitask.study.samplers import AnySampler, RandomSettings, SamplerSettings, TPESettings
from multitask.testing.study_samplers import STUDY_SAMPLER_CHECKS, advance, opened, params

SHORT = {"startup_trials": 3, "population": 3}
"""So that few trials are enough for a sampler to begin with what is its own."""
TRIALS = {"gp": 5}
"""Of a comparison; a Gaussian process takes a second for each."""


class Holder(Settings):
    sampler: AnySampler


def short(name: str) -> SamplerSettings:
    """A sampler of this name whose random start is short."""
    given = {key: value for key, value in SHORT.items() if key in SAMPLERS[name].model_fields}
    return validate(Holder, {"sampler": {"name": name, **given}}).sampler


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("check", STUDY_SAMPLER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[SamplerSettings, int], None], name: str) -> None:
    check(short(name), TRIALS.get(name, 12))


@pytest.mark.parametrize("name", SAMPLERS)
def test_its_name_alone_is_a_sampler(name: str) -> None:
    assert type(validate(Holder, {"sampler": name}).sampler) is SAMPLERS[name]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("tpee", "sampler.name: unknown name 'tpee'; did you mean 'tpe'?"),
        ({"name": "tpe", "candidates": 0}, "sampler.candidates: input should be greater than or equal to 1, found 0"),
        ({"startup_trials": -1}, "sampler.startup_trials: input should be greater than or equal to 0, found -1"),
        # Optuna's own refuses it, but only once the study has begun.
        (
            {"name": "nsga2", "population": 1},
            "sampler.population: input should be greater than or equal to 2, found 1",
        ),
        ({"name": "random", "seed": 3}, "sampler.seed: unknown key (of 'random'); it can be 'name'"),
    ],
)
def test_what_is_wrong_is_one_line(data: Any, line: str) -> None:
    assert problems(Holder, {"sampler": data}) == [line]


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_sampler_can_do_without_a_random_start(name: str) -> None:
    study = opened(SAMPLERS[name](startup_trials=0), InMemoryStorage())  # type: ignore[call-arg]
    advance(study, 2)
    assert len({trial["x"] for trial in params(study)}) == 2


def test_tpe_learns_where_chance_does_not() -> None:
    found: dict[str, list[float]] = {}
    for settings in (TPESettings(startup_trials=6), RandomSettings()):
        study = opened(settings, InMemoryStorage(), seed=3)
        advance(study, 40)
        found[settings.name] = [abs(trial["x"] - 0.3) for trial in params(study)[20:]]
    assert sum(found["tpe"]) < 0.5 * sum(found["random"])


def test_what_is_drawn_depends_on_the_trials_number_and_not_on_those_in_between() -> None:
    one, two = (opened(RandomSettings(), InMemoryStorage()) for _ in range(2))
    advance(one, 4)
    two.ask()
    two.add_trial(create_trial(state=TrialState.FAIL))
    two.ask()
    assert two.ask().suggest_float("x", 0, 1) == params(one)[3]["x"]


def test_optuna_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    advance(opened(RandomSettings(), InMemoryStorage()), 2)
    assert capfd.readouterr() == ("", "")
