"""The sections of a study's page, one by one."""

from __future__ import annotations

import pytest

from multitask.reporting.study import space_plots
from tests.parsed_page import Page
from tests.reporting.study.made_study import PARAMS, TASKS, make_study, render_study


def test_history_shows_every_trial_as_what_it_is(drawn):
    report = make_study()
    render_study(report)
    (marks, scores), more = drawn["history-0"]
    assert scores.maximize
    assert more["ylabel"] == "joint macro-F1"
    assert [mark.number for mark in marks] == list(range(30))
    assert [mark.state for mark in marks] == [trial["state"] for trial in report["trials"]]
    assert [mark.number for mark in marks if mark.base] == [0]
    assert [mark.number for mark in marks if mark.best] == [report["best"]]
    for mark, trial in zip(marks, report["trials"], strict=True):
        assert mark.score == (trial["values"][0] if trial["values"] else trial["best_score"])


def test_settings_of_the_best_stand_beside_the_bases(drawn):
    report = make_study()
    best = report["trials"][report["best"]]
    best["params"] = {"training.lr": 0.00123, "heads.age.loss.gamma": 1.5, "augment.cutmix": True}
    rows = Page(render_study(report)).rows("history")
    assert rows[0] == ["setting", "base (trial 0)", f"trial {best['number']}"]
    assert rows[1] == ["joint macro-F1", *(f"{t['values'][0]:.3f}"[1:] for t in (report["trials"][0], best))]
    assert ["training.lr", "0.001", "0.00123"] in rows
    assert ["heads.age.loss.gamma", "–", "1.5"] in rows
    assert ["augment.cutmix", "false", "true"] in rows
    assert ["augment.strength", "0.9", "–"] in rows


def test_confirmation_says_its_sentences_and_shows_every_figure(drawn):
    report = make_study()
    found = report["confirmation"]
    winner = found["rows"][1]
    winner |= {"study_score": 0.615, "confirmed": 0.585, "luck": 0.03, "pooled": 0.589, "pooled_ci": [0.558, 0.617]}
    winner["tasks"] = {task: {"value": value, "ci": [0, 1]} for task, value in zip(TASKS, (0.9, 0.8, 0.7), strict=True)}
    winner["difference"] = {"value": 0.024, "low": 0.004, "high": 0.044, "beyond_noise": True}
    found["rows"][2]["difference"]["beyond_noise"] = False
    page = Page(render_study(report))
    assert [each["text"] for each in page.all("p", class_="finding")] == [found["sentence"], found["luck_sentence"]]
    assert "with 3 fresh seeds, on as many of 5 folds" in page.section("confirmation")
    assert "987 images of 141 groups" in page.section("confirmation")
    rows = page.rows("confirmation")
    assert "98.3% interval" in rows[0]
    figures = [".615", ".585", ".030", ".589", ".558 to .617", ".900", ".800", ".700", ".024", ".004 to .044", "yes"]
    assert rows[2] == [f"trial {winner['trial']} ★", *figures]
    assert rows[1][0] == "base (trial 0)"
    assert rows[1][-3:] == ["–", "–", "–"]
    assert rows[3][-1] == "no"
    ((pooled,), _), ((differences,), more) = drawn["pooled"], drawn["differences"]
    assert [row.name for row in pooled] == [row[0].removesuffix(" ★") for row in rows[1:]]
    assert (pooled[1].low, pooled[1].value, pooled[1].high) == (0.558, 0.589, 0.617)
    assert pooled[1].single == tuple(winner["runs"])
    assert [row.strong for row in pooled] == [False, True, False, False]
    assert (differences[0].value, differences[0].full) == (0.024, True)
    assert len(differences) == 3
    assert more["zero"]


def test_without_a_confirmation_the_page_says_how_to_get_one(drawn):
    page = Page(render_study(make_study(confirmed=False)))
    assert "multitask study STUDY --confirm 3 --seeds 3" in page.section("confirmation")
    assert "Winner, confirmed" not in page.one("header")["text"]
    assert not {"pooled", "differences"} & drawn.keys()


def test_runs_of_another_metric_are_no_ticks_on_the_pooled_score(drawn):
    report = make_study()
    report["objectives"] = [{"metric": "tasks.age.ece", "direction": "minimize"}]
    report["confirmation"]["rows"][1]["runs"][0] = None
    page = Page(render_study(report))
    ((pooled,), _) = drawn["pooled"]
    assert not any(row.single for row in pooled)
    assert "ticks" not in page.section("confirmation")


def test_learning_curves_are_those_of_the_histories(drawn):
    report = make_study(12)
    report["trials"][1]["history"] = []
    report["trials"][2]["history"][0]["joint"] = None
    render_study(report)
    assert [key for key in drawn if key.startswith("curves")] == [f"curves-{place}" for place in range(4)]
    for place, task in enumerate([None, *TASKS]):
        ((curves,), _) = drawn[f"curves-{place}"]
        shown = {curve.mark.number: dict(zip(curve.epochs, curve.values, strict=True)) for curve in curves}
        expected = {}
        for trial in report["trials"]:
            rows = {row["epoch"]: row["joint"] if task is None else row["tasks"][task] for row in trial["history"]}
            if rows:
                expected[trial["number"]] = {epoch: value for epoch, value in rows.items() if value is not None}
        assert shown == expected


def test_importances_are_drawn_the_rest_is_named_and_missing_ones_are_explained(drawn):
    params = [PARAMS[0] | {"name": f"setting.{number}"} for number in range(15)]
    report = make_study(12, params=params)
    shares = [0.3, 0.2, *[0.04] * 11, 0.02, 0.01]
    report["importances"] = {param["name"]: share for param, share in zip(params, shares, strict=True)}
    text = Page(render_study(report)).section("importances")
    ((shown,), _) = drawn["shares"]
    assert [bar.name for bar in shown] == [f"setting.{number}" for number in range(12)]
    assert not any(bar.trials for bar in shown)
    assert "3 more settings have 7% together: setting.12, setting.13, setting.14." in text
    report |= {"importances": None, "importances_missing": "3 finished trials are too few"}
    assert "No importances: 3 finished trials are too few." in Page(render_study(report)).section("importances")


def test_importances_name_their_evaluator_and_on_how_many_trials_each_stands(drawn):
    report = make_study(12)
    names = [param["name"] for param in report["params"]]
    report["importances"] = dict.fromkeys(names, 1 / len(names))
    report["importances_about"] = {
        "evaluator": "PED-ANOVA",
        "num_best": 5,
        "num_trials": 12,
        "trials": dict.fromkeys(names, 12) | {names[1]: 7},
        "conditional": [names[1]],
        "sentence": "PED-ANOVA: how much.",
    }
    text = Page(render_study(report)).section("importances")
    ((shown,), _) = drawn["shares"]
    assert {bar.name: bar.trials for bar in shown if bar.trials} == {names[1]: "only in 7 of 12 trials"}
    assert "PED-ANOVA: how much." in text
    assert "A hollow bar" in text
    assert "With fewer than 50 finished trials" in text
    report["importances_about"] |= {"num_trials": 50, "conditional": []}
    text = Page(render_study(report)).section("importances")
    assert "hollow" not in text
    assert "fewer than 50" not in text


def test_slices_stand_by_importance_and_leave_out_trials_that_lack_the_setting(drawn):
    report = make_study()
    report["importances"] = {"training.lr": 0.7, "heads.age.loss.gamma": 0.2, "augment.cutmix": 0.1}
    page = Page(render_study(report))
    titles = [each["text"] for each in page.all("b") if "." in each["text"] and "figcaption" in each["inside"]]
    assert titles[:3] == ["training.lr", "heads.age.loss.gamma", "augment.cutmix"]
    assert len(titles) == len(PARAMS)
    (_, trials, _), more = drawn["slice-1"]
    having = {
        trial["number"]: trial["params"]["heads.age.loss.gamma"]
        for trial in report["trials"]
        if trial["state"] != "failed" and "heads.age.loss.gamma" in trial["params"]
    }
    assert {mark.number: value for mark, value in trials} == having
    assert more["ylabel"] == "joint macro-F1"
    text = page.section("slices")
    scored = sum(trial["state"] != "failed" for trial in report["trials"])
    assert f"float from 0.5 to 4 in steps of 0.5; {len(having)} of {scored} trials have it" in text
    assert "float from 0.0001 to 0.01, logarithmic" in text
    assert "one of cross_entropy, focal, ordinal" in text


def test_many_settings_are_folded_away_but_not_left_out(drawn):
    params = [PARAMS[0] | {"name": f"setting.{number}"} for number in range(14)]
    page = Page(render_study(make_study(12, params=params)))
    folded = [each["attrs"]["id"] for each in page.all("svg") if "details" in each["inside"]]
    assert folded == [f"slice-{number}" for number in range(9, 14)]
    assert page.one("summary")["text"] == "5 more settings"


def test_parallel_coordinates_hold_the_finished_trials_alone(drawn):
    report = make_study()
    page = Page(render_study(report))
    (scales, trials, _), _ = drawn["lines"]
    assert [mark.number for mark, _ in trials] == [t["number"] for t in report["trials"] if t["state"] == "finished"]
    assert set(scales) == {param["name"] for param in PARAMS}
    width = space_plots.parallel_width(len(PARAMS))
    assert page.one("figure", class_="broad")["attrs"]["style"] == f"--least:{width}px"


def test_head_weights_are_shown_where_they_were_tried(drawn):
    report = make_study()
    page = Page(render_study(report))
    (heads, trials, _), _ = drawn["weights-plot"]
    assert heads == TASKS
    assert {mark.number: weights for mark, weights in trials} == {
        trial["number"]: trial["weights"] for trial in report["trials"] if trial["state"] != "failed"
    }
    assert ["base (trial 0)", "1.00", "1.00", "1.00"] in [row[:4] for row in page.rows("weights")]


@pytest.mark.parametrize("weights", [None, {"mask": 1.0, "gender": 1.0, "age": 1.0}, {"class": 1.0}])
def test_head_weights_that_were_not_tried_are_left_out(drawn, weights):
    report = make_study()
    for trial in report["trials"]:
        trial["weights"] = weights
    page = Page(render_study(report))
    assert not page.all("section", id="weights")
    assert "weights-plot" not in drawn


def test_every_two_tasks_are_held_against_each_other(drawn):
    report = make_study()
    page = Page(render_study(report))
    finished = {trial["number"]: trial["scores"] for trial in report["trials"] if trial["state"] == "finished"}
    for place, (first, second) in enumerate([("mask", "gender"), ("mask", "age"), ("gender", "age")]):
        (points, colours), more = drawn[f"trade-off-{place}"]
        assert (more["xlabel"], more["ylabel"]) == (f"{first} macro-F1", f"{second} macro-F1")
        assert {mark.number: (x, y) for mark, x, y in points} == {
            number: (scores["tasks"][first], scores["tasks"][second]) for number, scores in finished.items()
        }
        assert {mark.number: mark.score for mark, *_ in points} == {n: found["joint"] for n, found in finished.items()}
        assert colours.maximize
    assert len([each for each in page.all("svg") if each["attrs"]["id"].startswith("trade-off")]) == 3


def test_trials_table_shows_each_trial_with_its_reason(drawn):
    report = make_study(8, states=["finished", "pruned", "failed", *["finished"] * 5])
    trials = report["trials"]
    trials[3] |= {"origin": "retry of 2", "seconds": 200.0}
    trials[3]["params"] = {"training.lr": 0.002, "augment.strength": 0.25}
    trials[4] |= {"state": "waiting", "values": None, "scores": None, "history": [], "seconds": None}
    trials[2]["failure"] = "ValueError: " + "long " * 300
    report["importances"] = None
    head, *rows = Page(render_study(report)).rows("trials")
    expected = ["trial", "state", "origin", "joint macro-F1", *TASKS, "epochs", "time", "why it ended early"]
    assert head == expected + [param["name"] for param in PARAMS]
    assert [row[0] for row in rows] == [str(number) for number in range(8)]
    joint, tasks = trials[3]["scores"]["joint"], trials[3]["scores"]["tasks"]
    scores = [f"{value:.3f}"[1:] for value in (joint, *tasks.values())]
    sign = "★" if report["best"] == 3 else "●"
    settings = ["0.25", "0.002", "–", "–", "–", "–"]
    assert rows[3] == ["3", f"{sign} finished", "retry of 2", *scores, "8", "3 min", "", *settings]
    assert rows[0][1:3] == ["■ finished", "base"]
    assert rows[1][1] == "▽ pruned"
    assert rows[1][9] == trials[1]["note"]
    assert rows[2][1] == "✕ failed"
    assert rows[2][9].startswith("ValueError: long long")
    assert len(rows[2][9]) <= 400
    assert rows[4][1] == "… waiting"
    assert rows[4][3:9] == ["–", "–", "–", "–", "0", "–"]


def test_a_base_whose_worker_was_lost_is_the_trial_that_ran_it_again(drawn):
    report = make_study(8, states=["failed", *["finished"] * 7], confirmed=False)
    report["trials"][3]["origin"] = "retry of 0"
    page = Page(render_study(report))
    (marks, _), _ = drawn["history-0"]
    assert [mark.number for mark in marks if mark.base] == [3]
    assert "Base .".replace(" ", "") in page.one("dl")["text"].replace("\n", "")
    assert "base (trial 3)" in page.rows("history")[0]
