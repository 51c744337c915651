from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import Trial, TrialState

from multitask.errors import UserError
from multitask.settings import Settings, problems, validate
from multitask.study import PRUNERS
from multitask.study.per_trial import PerTrial
from multitask.study.pruners import (
    AnyPruner,
    DominatedSettings,
    History,
    HyperbandSettings,
    MedianSettings,
    NoPrunerSettings,
    PrunerSettings,
    best_by_head,
)
from multitask.study.samplers import TPESettings
from multitask.testing.pruners import PRUNER_CHECKS, history, study_of, train


class Holder(Settings):
    pruner: AnyPruner


# --- every pruner -----------------------------------------------------------------------------------------------


def pruner_of(name: str) -> PrunerSettings:
    found = validate(Holder, {"pruner": name}).pruner
    assert type(found) is PRUNERS[name]
    return found


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("check", PRUNER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[PrunerSettings], None], name: str) -> None:
    check(pruner_of(name))


@pytest.mark.parametrize("name", PRUNERS)
def test_the_first_trial_is_never_stopped(name: str) -> None:
    pruner = pruner_of(name)
    assert train(study_of(pruner, 10), pruner, [0.1] * 10, {}) == ""


@pytest.mark.parametrize("name", PRUNERS)
def test_what_it_says_names_the_epoch(name: str) -> None:
    pruner = pruner_of(name)
    study, others = study_of(pruner), {}
    for _ in range(12):
        train(study, pruner, [0.5] * 9, others)
    reasons = {train(study, pruner, [0.1] * 9, others) for _ in range(8)}
    if isinstance(pruner, NoPrunerSettings):
        assert reasons == {""}
    else:
        assert any(reason for reason in reasons)
        assert all(" at epoch " in reason or " by epoch " in reason for reason in reasons if reason)


def test_only_those_that_look_at_every_head_can_judge_several_objectives() -> None:
    assert {name for name, cls in PRUNERS.items() if cls.several_objectives} == {"none", "dominated"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("medain", "pruner.name: unknown name 'medain'; did you mean 'median'?"),
        ({"startup": 3}, "pruner.startup: unknown key (of 'median'); did you mean 'startup_trials'?"),
        ({"warmup_epochs": -1}, "pruner.warmup_epochs: input should be greater than or equal to 0, found -1"),
        (
            {"name": "hyperband", "min_epochs": 0},
            "pruner.min_epochs: input should be greater than or equal to 1, found 0",
        ),
        (
            {"name": "hyperband", "reduction": 1},
            "pruner.reduction: input should be greater than or equal to 2, found 1",
        ),
        (
            {"name": "dominated", "beaten_by": 0},
            "pruner.beaten_by: input should be greater than or equal to 1, found 0",
        ),
        (
            {"beaten_by": 2},
            "pruner.beaten_by: unknown key (of 'median'); 'dominated' has it",
        ),
    ],
)
def test_what_is_wrong_is_one_line(data: Any, line: str) -> None:
    assert problems(Holder, {"pruner": data}) == [line]


# --- those with a warm-up ---------------------------------------------------------------------------------------

WARM = ("median", "dominated")


@pytest.mark.parametrize(
    ("warmup", "num_epochs", "first"),
    [
        (None, 30, {"median": 11, "dominated": 4}),
        (None, 31, {"median": 12, "dominated": 5}),
        (None, 9, {"median": 4, "dominated": 2}),
        (None, 4, {"median": 3, "dominated": 2}),
        (None, 3, {"median": 2, "dominated": 2}),
        (None, 2, {"median": None, "dominated": None}),
        (None, 1, {"median": None, "dominated": None}),
        (0, 4, {"median": 1, "dominated": 1}),
        (2, 4, {"median": 3, "dominated": 3}),
    ],
)
@pytest.mark.parametrize("name", WARM)
def test_the_first_epoch_that_may_stop_a_trial_is_behind_the_warm_up(
    name: str, warmup: int | None, num_epochs: int, first: dict[str, int | None]
) -> None:
    pruner = validate(Holder, {"pruner": {"name": name, "startup_trials": 3, "warmup_epochs": warmup}}).pruner
    study, others = study_of(pruner, num_epochs), {}
    for _ in range(10):
        assert train(study, pruner, [0.5] * num_epochs, others) == ""
    said = train(study, pruner, [0.1] * num_epochs, others)
    assert said.endswith(f" epoch {first[name]}" if first[name] else "")
    assert bool(said) == (first[name] is not None)


@pytest.mark.parametrize(("name", "first"), [("median", 5), ("dominated", 3)])
def test_the_warm_up_is_a_share_of_the_trials_own_epochs_though_the_base_has_others(name: str, first: int) -> None:
    pruner = PRUNERS[name](startup_trials=3)  # type: ignore[call-arg]
    study, others = study_of(pruner, 30), {}
    for _ in range(10):
        train(study, pruner, [0.5] * 12, others)
    assert train(study, pruner, [0.1] * 12, others).endswith(f" epoch {first}")


@pytest.mark.parametrize("name", WARM)
def test_a_warm_up_that_leaves_no_epoch_to_stop_a_trial_after_is_refused(name: str) -> None:
    row: Any = PRUNERS[name]
    for num_epochs, warmup in [(4, 2), (2, 0)]:
        row(warmup_epochs=warmup).check(num_epochs)
        for too_long in (warmup + 1, warmup + 2):
            with pytest.raises(UserError) as caught:
                row(warmup_epochs=too_long).check(num_epochs)
            assert str(caught.value) == (
                f"pruner.warmup_epochs: must leave an epoch before the last of training.epochs ({num_epochs}) to stop "
                f"a trial after, found {too_long}"
            )
    for num_epochs in (1, 2, 30):  # nobody asked for a warm-up
        row().check(num_epochs)


# --- median -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("warmup", "epoch"), [(0, 1), (1, 2), (3, 4)])
@pytest.mark.parametrize(("direction", "worse"), [("maximize", 0.2), ("minimize", 0.8)])
def test_median_stops_what_is_worse_after_the_warm_up(warmup: int, epoch: int, direction: str, worse: float) -> None:
    pruner = MedianSettings(startup_trials=3, warmup_epochs=warmup)
    study = study_of(pruner, 6, direction)
    for score in (0.4, 0.5, 0.6):
        assert train(study, pruner, [score] * 6, {}) == ""
    assert train(study, pruner, [worse] * 6, {}) == f"below the median at epoch {epoch}"
    assert train(study, pruner, [1 - worse] * 6, {}) == ""


def test_median_waits_for_enough_finished_trials() -> None:
    pruner = MedianSettings(startup_trials=3, warmup_epochs=0)
    study = study_of(pruner, 4)
    for score in (0.5, 0.4, 0.3):
        assert train(study, pruner, [score] * 4, {}) == ""
    assert train(study, pruner, [0.2] * 4, {}) != ""


def test_median_takes_a_trials_best_epoch_so_far() -> None:
    pruner = MedianSettings(startup_trials=2, warmup_epochs=1)
    study = study_of(pruner, 5)
    for _ in range(3):
        train(study, pruner, [0.5] * 5, {})
    assert train(study, pruner, [0.6, 0.1, 0.1, 0.1, 0.1], {}) == ""


# --- hyperband --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_hyperband_stops_most_at_its_rungs_and_never_the_best(direction: str) -> None:
    pruner = HyperbandSettings(min_epochs=1, reduction=3)
    rng = random.Random(1)
    study = study_of(pruner, 9, direction)
    ends: dict[str, list[float]] = {}
    for _ in range(40):
        score = rng.random()
        ends.setdefault(train(study, pruner, [score] * 9, {}), []).append(score)
    # A step is an epoch less 1: rungs of 1, 3 and 9 steps.
    assert set(ends) == {"", *(f"not among the best of its rung at epoch {epoch}" for epoch in (2, 4))}
    stopped = [score for reason, scores in ends.items() if reason for score in scores]
    assert len(stopped) > 20
    best = max if direction == "maximize" else min
    assert best(ends[""]) == best(stopped + ends[""])


def test_hyperbands_first_rung_is_where_it_is_set() -> None:
    pruner = HyperbandSettings(min_epochs=3, reduction=2)
    study = study_of(pruner, 8)
    reasons = {train(study, pruner, [1 / (number + 1)] * 8, {}) for number in range(20)}
    assert reasons - {""} == {f"not among the best of its rung at epoch {epoch}" for epoch in (4, 7)}


def test_hyperband_without_an_epoch_to_prune_at_is_refused() -> None:
    assert HyperbandSettings(min_epochs=3).build(5)
    line = r"^pruner\.min_epochs: must leave an epoch before the last of training\.epochs \(4\) to .* found 3$"
    with pytest.raises(UserError, match=line):
        HyperbandSettings(min_epochs=3).build(4)


def test_hyperband_goes_with_a_sampler_that_is_made_afresh_for_every_trial() -> None:
    def run(parts: Sequence[int]) -> list[dict[str, Any]]:
        pruner = HyperbandSettings()
        storage = optuna.storages.InMemoryStorage()
        for part in parts:
            study = optuna.create_study(
                study_name="test",
                storage=storage,
                direction="maximize",
                pruner=pruner.build(6),
                sampler=PerTrial(TPESettings(startup_trials=3), 0),
                load_if_exists=True,
            )
            for _ in range(part):
                trial = study.ask()
                x = trial.suggest_float("x", 0, 1)
                for epoch in range(6):
                    trial.report(x, epoch)
                    if epoch < 5 and pruner.verdict(trial, history((x,)), {}, 6):
                        study.tell(trial, state=TrialState.PRUNED)
                        break
                else:
                    study.tell(trial, x)
        assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
        return [trial.params for trial in study.trials]

    assert run([14]) == run([5, 1, 8])


# --- dominated --------------------------------------------------------------------------------------------------

OTHERS = {
    3: history((0.5, 0.2), (0.6, 0.4), (0.6, 0.9)),
    7: history((0.2, 0.5), (0.9, 0.5), (0.9, 0.5)),
}


@pytest.mark.parametrize(
    ("own", "by"),
    [
        ([(0.5, 0.4)], None),  # ahead of 3 in the second head, of 7 in the first
        ([(0.4, 0.1)], 3),
        ([(0.1, 0.4)], 7),
        ([(0.5, 0.2)], None),  # exactly as good
        ([(0.5, 0.1)], 3),  # as good in one head, behind in the other
        ([(0.1, 0.1), (0.5, 0.4)], 3),
        ([(0.1, 0.1), (0.7, 0.45)], 7),  # 3 is behind in the first head by then
        ([(0.1, 0.1), (0.95, 0.1)], None),
        ([(0.1, 0.6), (0.1, 0.1)], None),  # was ahead, in its first epoch
        ([(0.1, 0.6), (0.1, 0.1), (0.1, 0.1)], 3),  # until 3 overtook it
        ([(0.1, 0.1), (0.1, 0.1), (0.95, 0.1)], None),
        ([(None, 0.1)], 3),
        ([(None, 0.6)], None),
        ([(0.5, None), (None, None)], 3),
    ],
)
def test_a_trial_is_stopped_when_a_finished_one_leaves_it_no_head_to_be_ahead_in(
    own: list[tuple[float | None, ...]], by: int | None, trial: Trial
) -> None:
    pruner = DominatedSettings(startup_trials=2, warmup_epochs=0, beaten_by=1)
    found = pruner.verdict(trial, history(*own), OTHERS, 4)
    assert found == (
        None if by is None else f"trial {by} was at least as good in every objective and head by epoch {len(own)}"
    )


@pytest.fixture
def trial() -> Trial:
    return study_of(NoPrunerSettings(), 3).ask()


def test_dominated_waits_for_enough_finished_trials_and_epochs(trial: Trial) -> None:
    own = history((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    for startup, warmup, stops in [(2, 0, 1), (2, 1, 2), (2, 2, 3), (2, 3, None), (3, 0, None)]:
        pruner = DominatedSettings(startup_trials=startup, warmup_epochs=warmup, beaten_by=1)
        verdicts = [pruner.verdict(trial, own[:epochs], OTHERS, 4) for epochs in (1, 2, 3)]
        assert next((epoch for epoch, verdict in enumerate(verdicts, 1) if verdict), None) == stops


@pytest.mark.parametrize(
    ("own", "beaten_by", "said"),
    [
        ((0.3, 0.3), 1, "trial 0 was"),
        ((0.3, 0.3), 2, "trials 0, 2 were each"),
        ((0.3, 0.3), 3, "trials 0, 2, 4 were each"),
        ((0.3, 0.3), 4, None),  # 1 is behind in a head, 3 is as good
        ((0.3, 0.1), 4, "trials 0, 1, 2 and 1 more were each"),
        ((0.3, 0.1), 5, "trials 0, 1, 2 and 2 more were each"),
        ((0.6, 0.1), 1, None),
    ],
)
def test_several_finished_trials_must_each_be_ahead(
    own: tuple[float, ...], beaten_by: int, said: str | None, trial: Trial
) -> None:
    finals = [(0.4, 0.4), (0.5, 0.2), (0.5, 0.3), (0.3, 0.3), (0.3, 0.4)]
    others = {number: history(scores) for number, scores in enumerate(finals)}
    pruner = DominatedSettings(startup_trials=0, warmup_epochs=0, beaten_by=beaten_by)
    found = pruner.verdict(trial, history(own), others, 3)
    assert found == (said and f"{said} at least as good in every objective and head by epoch 1")


def test_a_finished_trial_that_has_no_epoch_yet_leads_nobody(trial: Trial) -> None:
    pruner = DominatedSettings(startup_trials=1, warmup_epochs=0, beaten_by=1)
    assert pruner.verdict(trial, history((0.0, 0.0)), {0: []}, 3) is None
    assert pruner.verdict(trial, history((0.1, 0.1)), {0: [], 3: OTHERS[3]}, 3) is not None


def test_a_finished_trial_that_ended_early_counts_with_what_it_had(trial: Trial) -> None:
    pruner = DominatedSettings(startup_trials=1, warmup_epochs=0, beaten_by=1)
    own = history(*[(0.4, 0.1)] * 5)
    assert (
        pruner.verdict(trial, own, {0: history((0.5, 0.2))}, 6)
        == "trial 0 was at least as good in every objective and head by epoch 5"
    )


scores = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@st.composite
def races(draw: st.DrawFn) -> tuple[History, dict[int, History]]:
    heads = draw(st.integers(1, 4))
    row = st.tuples(*[scores] * heads)
    curve = st.lists(row, min_size=1, max_size=4).map(lambda rows: history(*rows))
    return draw(curve), draw(st.dictionaries(st.integers(0, 9), curve, max_size=5))


def judge(own: History, others: dict[int, History], num_epochs: int = 5, **rule: int) -> str | None:
    return DominatedSettings(startup_trials=0, **rule).verdict(None, own, others, num_epochs)  # type: ignore[arg-type]


@given(races(), st.integers(1, 4))
@settings(deadline=None, max_examples=300)
def test_who_is_ahead_of_everybody_in_a_head_is_never_stopped_and_who_is_dominated_by_enough_always(
    race: tuple[History, dict[int, History]], beaten_by: int
) -> None:
    own, others = race
    found = judge(own, others, warmup_epochs=0, beaten_by=beaten_by)

    def best(rows: History, head: str) -> float:
        known = [score for row in rows[: len(own)] if (score := row.tasks[head]) is not None]
        return max(known, default=0.0)

    heads = list(own[0].tasks)
    if any(all(best(own, head) > best(other, head) for other in others.values()) for head in heads):
        assert found is None
    dominating = [
        number
        for number, other in others.items()
        if all(best(other, head) >= best(own, head) for head in heads)
        and any(best(other, head) > best(own, head) for head in heads)
    ]
    assert (found is not None) == (len(dominating) >= beaten_by)
    if found is not None:
        named = [int(number) for number in re.findall(r"\d+", found.split(" was ")[0].split(" were ")[0])]
        assert named[:3] == dominating[: min(3, beaten_by)]


def stopped_after(own: History, others: dict[int, History], **rule: int) -> float:
    """The epoch that ends a trial; infinite where none does."""
    ends = (epoch for epoch in range(1, len(own) + 1) if judge(own[:epoch], others, **rule))
    return next(ends, math.inf)


@given(races(), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=300)
def test_a_longer_warm_up_and_more_that_must_dominate_never_stop_a_trial_earlier(
    race: tuple[History, dict[int, History]], beaten_by: int, warmup: int, more: int, longer: int
) -> None:
    own, others = race
    bold = stopped_after(own, others, beaten_by=beaten_by, warmup_epochs=warmup)
    careful = stopped_after(own, others, beaten_by=beaten_by + more, warmup_epochs=warmup + longer)
    assert bold <= careful
    assert bold > warmup
    assert bold == math.inf or len(others) >= beaten_by


@pytest.mark.parametrize(
    ("own", "theirs", "stops"),
    [
        ((0.9, -0.1), (0.1, -0.1), False),  # leads in an objective, though behind in each head
        ((0.1, -0.05), (0.1, -0.1), False),
        ((0.1, -0.1), (0.1, -0.1), True),
        ((0.1, None), (0.1, -0.1), False),  # known at the end only
        ((0.1, -0.1), (0.1, None), False),
    ],
)
def test_a_trial_that_is_ahead_in_an_objective_goes_on(
    own: tuple[float | None, ...], theirs: tuple[float | None, ...], stops: bool, trial: Trial
) -> None:
    rows = [replace(row, gains=own) for row in history((0.4, 0.4))]
    others = {0: [replace(row, gains=theirs) for row in history((0.5, 0.5))]}
    pruner = DominatedSettings(startup_trials=1, warmup_epochs=0, beaten_by=1)
    assert (pruner.verdict(trial, rows, others, 2) is not None) == stops


def test_the_best_of_each_head_is_taken_over_the_epochs() -> None:
    assert best_by_head(history((0.5, None), (0.2, 0.1), (None, 0.3))).tolist() == [0.5, 0.3]
    assert best_by_head(iter(history((None, None)))).tolist() == [0.0, 0.0]
    assert isinstance(best_by_head(history((1.0,))), np.ndarray)
