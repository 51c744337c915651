from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from multitask.settings import Settings, problems, validate
from multitask.study import SAMPLERS
from multitask.study.per_trial import PerTrial, quieten
from multitask.study.samplers import AnySampler, RandomSettings, SamplerSettings, TPESettings

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
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    @pytest.fixture
    def trials(self, name: str) -> int:
        return TRIALS.get(name, 12)

    def test_it_is_a_row_of_the_table_and_builds_one_of_optunas(self, name: str) -> None:
        settings = validate(Holder, {"sampler": name}).sampler
        assert type(settings) is SAMPLERS[name]
        assert isinstance(settings.build(0), BaseSampler)
        assert validate(Holder, {"sampler": settings.model_dump(mode="json")}).sampler == settings

    def test_a_study_that_was_interrupted_goes_on_as_one_that_was_not(self, name: str, trials: int) -> None:
        whole, parts = InMemoryStorage(), InMemoryStorage()
        advance(opened(short(name), whole), trials)
        for part in (1, trials - 3, 2):
            advance(opened(short(name), parts), part)
        found = params(opened(short(name), whole))
        assert params(opened(short(name), parts)) == found
        assert len(found) == trials

    def test_start_up_trials_are_not_repeated_by_another_launch(self, name: str) -> None:
        storage = InMemoryStorage()
        for _ in range(3):
            advance(opened(short(name), storage), 1)
        assert len({trial["x"] for trial in params(opened(short(name), storage))}) == 3

    def test_two_seeds_differ(self, name: str) -> None:
        one, two = (opened(short(name), InMemoryStorage(), seed) for seed in (0, 1))
        for study in (one, two):
            advance(study, 3)
        assert all(a["x"] != b["x"] for a, b in zip(params(one), params(two), strict=True))

    def test_two_machines_that_share_a_study_draw_differently(self, name: str) -> None:
        storage = InMemoryStorage()
        one, two = (opened(short(name), storage) for _ in range(2))
        drawn = [study.ask().suggest_float("x", 0, 1) for study in (one, two, one, two)]
        assert len(set(drawn)) == 4

    def test_it_serves_several_objectives(self, name: str) -> None:
        study = opened(short(name), InMemoryStorage(), objectives=2)
        advance(study, 4)
        assert study.best_trials


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
