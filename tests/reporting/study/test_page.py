from __future__ import annotations

import copy
import functools
import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from multitask.reporting.study import page as study_page
from multitask.reporting.study import plots, space_plots, weight_plots
from tests.browser import at_both_widths, needs_chromium
from tests.parsed_page import Page
from tests.reporting.study.reports import study_report

SECTIONS = [
    "history",
    "confirmation",
    "learning",
    "importances",
    "slices",
    "parallel",
    "weights",
    "trade-off",
    "trials",
]

TASKS = ["mask", "gender", "age"]
PARAMS = [
    {"name": "augment.strength", "kind": "float", "low": 0.0, "high": 1.0, "log": False, "step": None, "choices": None},
    {"name": "training.lr", "kind": "float", "low": 1e-4, "high": 1e-2, "log": True, "step": None, "choices": None},
    {
        "name": "augment.families.photometric",
        "kind": "int",
        "low": 0,
        "high": 4,
        "log": False,
        "step": 1,
        "choices": None,
    },
    {
        "name": "heads.age.loss.name",
        "kind": "categorical",
        "low": None,
        "high": None,
        "log": False,
        "step": None,
        "choices": ["cross_entropy", "focal", "ordinal"],
    },
    {
        "name": "heads.age.loss.gamma",
        "kind": "float",
        "low": 0.5,
        "high": 4,
        "log": False,
        "step": 0.5,
        "choices": None,
    },
    {
        "name": "augment.cutmix",
        "kind": "categorical",
        "low": None,
        "high": None,
        "log": False,
        "step": None,
        "choices": [True, False],
    },
]
BASE = {
    "augment.strength": 0.9,
    "training.lr": 1e-3,
    "augment.families.photometric": 2,
    "heads.age.loss.name": "cross_entropy",
    "augment.cutmix": False,
}


def render_study(data):
    return study_page.render_study(study_report(data))


def draw_value(rng, param):
    if param["kind"] == "categorical":
        return param["choices"][rng.integers(len(param["choices"]))]
    if param["kind"] == "int":
        return int(rng.integers(param["low"], param["high"] + 1))
    if param["log"]:
        return float(param["low"] * (param["high"] / param["low"]) ** rng.random())
    return float(rng.uniform(param["low"], param["high"]))


def make_trial(rng, number, tasks, params, num_objectives, epochs, state):
    if number == 0:
        settings = {param["name"]: BASE[param["name"]] for param in params if param["name"] in BASE}
    else:
        settings = {param["name"]: draw_value(rng, param) for param in params}
        if settings.get("heads.age.loss.name") != "focal":
            settings.pop("heads.age.loss.gamma", None)
    ratios = np.exp(rng.normal(0, 0.7 if number else 0, len(tasks)))
    weights = dict(zip(tasks, (ratios / ratios.sum() * len(tasks)).tolist(), strict=True))
    skill = 0.06 - 0.1 * (settings.get("augment.strength", 0.5) - 0.35) ** 2
    skill -= 0.05 * np.log10(settings.get("training.lr", 1e-3) / 2e-3) ** 2
    trained = epochs if state == "finished" else int(rng.integers(1, epochs))
    history = []
    for epoch in range(1, trained + 1):
        grown = 1 - np.exp(-epoch / 2.2)
        found = {
            task: float(
                np.clip(grown * (0.9 - 0.35 * place / len(tasks) + 0.05 * np.log(weights[task]) + skill), 0.02, 1)
                + rng.normal(0, 0.008)
            )
            for place, task in enumerate(tasks)
        }
        joint = float(np.prod(list(found.values())) ** (1.3 / len(tasks)) * 0.8)
        history.append({"epoch": epoch, "joint": joint, "tasks": found})
    best = max(history, key=lambda row: row["joint"])
    values = [best["joint"], *(1 - best["tasks"][task] for task in tasks)][:num_objectives]
    failed = state == "failed"
    return {
        "number": number,
        "origin": "base" if number == 0 else "sampled",
        "state": state,
        "values": values if state == "finished" else None,
        "best_score": None if failed else best["joint"],
        "params": settings,
        "weights": weights,
        "scores": None if failed else {"joint": best["joint"], "tasks": best["tasks"]},
        "history": history,
        "seconds": 4.2 * trained,
        "started": "2026-11-23T10:15:00+00:00",
        "finished": "2026-11-23T10:16:00+00:00",
        "failure": "FloatingPointError: the loss is not a number (nan) after step 12 of epoch 2" if failed else None,
        "note": f"median pruner: after epoch {trained} worse than the median" if state == "pruned" else None,
    }


def make_study(num_trials=30, tasks=TASKS, params=PARAMS, num_objectives=1, epochs=8, states=None, confirmed=True):
    rng = np.random.default_rng(0)
    trials = []
    for number in range(num_trials):
        drawn = rng.choice(["finished", "pruned", "failed"], p=[0.6, 0.33, 0.07]) if number else "finished"
        trials.append(
            make_trial(rng, number, tasks, params, num_objectives, epochs, states[number] if states else str(drawn))
        )
    finished = [trial for trial in trials if trial["state"] == "finished"]
    ranked = sorted(finished, key=lambda trial: -trial["values"][0])
    counts = {state: sum(trial["state"] == state for trial in trials) for state in ("finished", "pruned", "failed")}
    shares = rng.dirichlet(np.ones(max(len(params), 1))).tolist()
    front = []
    if num_objectives > 1:
        best = float("inf")
        for trial in ranked:
            if trial["values"][1] < best:
                best = trial["values"][1]
                front.append(trial["number"])
    return {
        "study": "loss_and_augmentation",
        "created": "2026-11-23T10:15:00+00:00",
        "base": "configs/mask18_mini.yaml",
        "objectives": [
            {"metric": "joint.macro_f1", "direction": "maximize"},
            *({"metric": f"tasks.{task}.ece", "direction": "minimize"} for task in tasks),
        ][:num_objectives],
        "sampler": "tpe",
        "pruner": "median",
        "seed": 0,
        "tasks": list(tasks),
        "params": list(params),
        "counts": counts | {"retried": 2, "running": 0, "waiting": 0},
        "seconds": float(sum(trial["seconds"] for trial in trials)),
        "epochs": sum(len(trial["history"]) for trial in trials),
        "epochs_full": epochs * num_trials,
        "best": ranked[0]["number"] if ranked and num_objectives == 1 else None,
        "front": sorted(front),
        "trials": trials,
        "importances": {param["name"]: share for param, share in zip(params, shares, strict=False)} if ranked else None,
        "importances_missing": None if ranked else "0 finished trials are too few; 8 are needed",
        "confirmation": make_confirmation(rng, ranked, tasks) if confirmed and len(ranked) > 3 else None,
        "sentences": [
            f"{len(finished)} of {num_trials} trials finished.",
            "The best, trial 17, reached a joint macro-F1 of .512, .041 above the base.",
            "On fresh seeds and folds it beats the base beyond noise.",
        ],
    }


def make_confirmation(rng, ranked, tasks):
    rows = []
    base = next(trial for trial in ranked if trial["number"] == 0)
    for trial in [base, *[trial for trial in ranked if trial is not base][:3]]:
        runs = (trial["values"][0] - 0.03 + rng.normal(0, 0.015, 15)).tolist()
        confirmed, pooled = float(np.mean(runs)), float(np.mean(runs)) + 0.004
        gain = pooled - rows[0]["pooled"] if rows else 0
        rows.append(
            {
                "trial": trial["number"],
                "base": trial is base,
                "study_score": trial["values"][0],
                "confirmed": confirmed,
                "runs": runs,
                "luck": trial["values"][0] - confirmed,
                "pooled": pooled,
                "pooled_ci": [pooled - 0.031, pooled + 0.028],
                "tasks": {
                    task: {"value": trial["scores"]["tasks"][task], "ci": [0.4, 0.6]}
                    for place, task in enumerate(tasks)
                },
                "difference": None
                if trial is base
                else {"value": gain, "low": gain - 0.02, "high": gain + 0.02, "beyond_noise": gain > 0.02},
            }
        )
    winner = rows[1]["trial"]
    return {
        "num_seeds": 3,
        "num_folds": 5,
        "num_groups": 141,
        "num_images": 987,
        "level": 0.983,
        "winner": winner,
        "sentence": f"Trial {winner} beats the base by .024 (98.3% .004 to .044): beyond noise.",
        "luck_sentence": "Of its gain of .051 in the study, .027 was luck.",
        "rows": rows,
    }


def make_nasty():
    """A small study in which every name tries to break the page, and values are of every kind."""
    tasks = ["<script>alert(1)</script>", "a task whose name goes on and on without mercy", "$x_1$ & co"]
    choices = ["<b>", "a&b", "$y$", "x" * 60, None, True, 0.5, "\"q'uote", "日本"]
    params = [
        {**PARAMS[3], "name": "heads.<i>.loss", "choices": choices},
        {**PARAMS[1], "name": "an.extraordinarily_long.path.of_a_setting.that.goes_on.and_on.and_on.lr"},
        {**PARAMS[0], "name": "one_word_that_has_no_place_to_break_at_all_whatever_you_do" * 2},
    ]
    study = make_study(20, tasks, params, epochs=3)
    lr = params[1]["name"]
    study["trials"][0]["params"] = {lr: 0, params[2]["name"]: None, params[0]["name"]: "outside"}
    failed = next(trial for trial in study["trials"] if trial["state"] != "finished")
    failed |= {"state": "failed", "values": None, "failure": "ValueError: <img src=x onerror=alert(1)> " + "y" * 900}
    return study | {"study": "<script>&" + "z" * 80, "base": "a/very_long/" * 12, "sentences": ["<script> & $5$."]}


STUDIES = {
    "usual": make_study,
    "objectives": lambda: make_study(24, num_objectives=3, epochs=4),
    "nasty": make_nasty,
    "heads": lambda: make_study(12, ["a", "b"], epochs=3),
    "five": lambda: make_study(12, list("abcde"), epochs=3),
    "single": lambda: make_study(12, ["mask"], epochs=3),
    "one": lambda: make_study(1),
    "none": lambda: make_study(0),
    "failed": lambda: make_study(4, states=["failed"] * 4, epochs=2),
}


@functools.cache
def full_page(name):
    return render_study(STUDIES[name]())


@pytest.fixture(params=STUDIES)
def rendered(request):
    return full_page(request.param)


@pytest.fixture
def drawn(monkeypatch):
    """Leaves the plots out, and holds what each of them was asked to show: by key, its arguments."""
    asked = {}
    for module, names in (
        (plots, ("history", "curves", "importances", "intervals")),
        (space_plots, ("setting_slice", "parallel", "trade_off")),
        (weight_plots, ("head_weights",)),
    ):
        for name in names:

            def draw(*arguments, key, label, **more):
                asked[key] = (arguments, more)
                return f'<svg id="{key}"></svg>'

            monkeypatch.setattr(module, name, draw)
    return asked


def test_page_needs_nothing_outside_itself(rendered):
    assert not re.search(r"https?://", rendered.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    page = Page(rendered)
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in rendered
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", rendered))
    for element in page.elements:
        assert not any(name.startswith("on") for name in element["attrs"]), element
        for name in ("src", "href", "xlink:href"):
            assert element["attrs"].get(name, "#").startswith("#"), element


def test_ids_are_unique_and_every_reference_resolves(rendered):
    ids = [element["attrs"]["id"] for element in Page(rendered).elements if "id" in element["attrs"]]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^)"]+)', rendered)
    assert set(wanted) <= set(ids)


def test_plots_and_tables_are_described(rendered):
    page = Page(rendered)
    assert all(plot["attrs"]["role"] == "img" and plot["attrs"]["aria-label"] for plot in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in cell["attrs"] for cell in page.all("th"))
    scrollers = [each for each in page.all("div") if "scroll" in each["attrs"].get("class", "").split()]
    assert all(each["attrs"].get("tabindex") == "0" and each["attrs"].get("aria-label") for each in scrollers)


def test_nothing_is_printed_that_is_no_number(rendered):
    text = re.sub(r"\(nan\)", "", Page(rendered).one("main")["text"])
    assert "None" not in text
    assert not re.search(r"\bnan\b|\binf\b|\{|\}", text)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("usual", []), ("objectives", []), ("single", ["weights", "trade-off"]), ("none", ["weights"])],
)
def test_sections_stand_in_order_and_are_linked(name, missing):
    page = Page(full_page(name))
    expected = [section for section in SECTIONS if section not in missing]
    assert [section["attrs"]["id"] for section in page.all("section")] == expected
    links = [link["attrs"]["href"] for link in page.all("a") if "nav" in link["inside"]]
    assert links == [f"#{anchor}" for anchor in expected]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(expected)


def test_names_are_shown_and_never_run():
    page = Page(full_page("nasty"))
    assert not page.all("script")
    assert not page.all("img")
    assert page.one("h1")["text"].startswith("<script>&zzz")
    assert "heads.<i>.loss" in page.section("slices")
    assert "<img src=x onerror=alert(1)>" in page.section("trials")
    shown = {" ".join(each["text"].split()) for each in page.all("text")}
    assert {"<b>", "a&b", "$y$", "日本"} <= shown


def test_header_says_what_was_sought_and_what_was_found(drawn):
    report = make_study()
    report["trials"][4]["values"], report["best"] = [0.8125], 4
    report["trials"][4]["state"] = "finished"
    report["trials"][0]["values"] = [0.75]
    report |= {"seconds": 7500.0, "epochs": 75, "epochs_full": 100}
    report["counts"] = {"finished": 12, "pruned": 5, "failed": 1, "retried": 2, "running": 1, "waiting": 0}
    page = Page(render_study(report))
    header = " ".join(page.one("header")["text"].split())
    assert "23 November 2026, 10:15 UTC" in header
    assert "maximise joint macro-F1 · sampler tpe · pruner median · seed 0" in header
    assert "base configs/mask18_mini.yaml" in header
    assert page.one("p", class_="lede")["text"] == " ".join(report["sentences"])
    cards = {}
    for element in page.elements:
        if "dl" in element["inside"] and element["tag"] in ("dt", "dd"):
            if element["tag"] == "dt":
                cards[element["text"]] = []
            else:
                cards[list(cards)[-1]].append(element["text"])
    confirmed = {row["trial"]: f"{row['confirmed']:.3f}"[1:] for row in report["confirmation"]["rows"]}
    assert cards == {
        "Best joint macro-F1": [".812", "trial 4"],
        "Base": [".750", "trial 0"],
        "Winner, confirmed": [confirmed[report["confirmation"]["winner"]], f"base {confirmed[0]}"],
        "Trials finished": ["12", "5 pruned, 1 failed, 2 queued again, 1 running"],
        "Time": ["2 h 5 min", "all trials together"],
        "Epochs saved by pruning": ["25%", "75 of 100 trained"],
    }


def test_with_several_objectives_each_has_its_best_and_its_history(drawn):
    report = make_study(24, num_objectives=2)
    page = Page(render_study(report))
    values = {trial["number"]: trial["values"] for trial in report["trials"] if trial["values"]}
    best = [max(values, key=lambda number: values[number][0]), min(values, key=lambda number: values[number][1])]
    header = " ".join(page.one("header")["text"].split())
    for number, place, name in ((best[0], 0, "joint macro-F1"), (best[1], 1, "mask ECE")):
        score, base = (f"{values[trial][place]:.3f}"[1:] for trial in (number, 0))
        assert f"Best {name} {score} trial {number}; base {base}" in header
    assert f"On the front {len(report['front'])} " in header
    assert "maximise joint macro-F1, minimise mask ECE" in header
    for place in range(2):
        (marks, scores), _ = drawn[f"history-{place}"]
        assert scores.maximize == (place == 0)
        shown = {mark.number: mark.score for mark in marks if mark.score is not None}
        assert shown == {number: found[place] for number, found in values.items()}
        assert [mark.number for mark in marks if mark.best] == report["front"]
    (points, colours), more = drawn["front-0-1"]
    assert {mark.number: [x, y] for mark, x, y in points} == values
    assert colours is None
    assert more["maximize"] == (True, False)
    columns = page.rows("history")[0][1:]
    front = [number for number in report["front"] if number]
    assert columns == ["base (trial 0)", *(f"trial {number}" for number in front)]


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


def test_every_figure_may_be_missing(drawn):
    report = make_study(12, states=["finished"] * 12)
    for trial in report["trials"]:
        trial |= {"values": [None], "best_score": None, "scores": None, "seconds": None, "history": []}
    report["trials"][1]["values"] = [float("nan")]
    report["trials"][2]["scores"] = {"joint": None, "tasks": dict.fromkeys(TASKS)}
    report["importances"] = dict.fromkeys(report["importances"])
    for row in report["confirmation"]["rows"]:
        row |= dict.fromkeys(("study_score", "confirmed", "luck", "pooled", "pooled_ci"))
        row |= {"runs": [None], "tasks": {}}
    text = Page(render_study(report)).one("main")["text"]
    assert "No trial has a score yet." in text
    assert "None" not in text
    assert "nan" not in text


def test_a_study_that_has_just_begun_says_so():
    page = Page(full_page("none"))
    for anchor, words in (
        ("history", "No trial has a score yet"),
        ("learning", "No trial has finished an epoch"),
        ("importances", "No importances: 0 finished trials are too few"),
        ("slices", "No trial with a score"),
        ("parallel", "No finished trial"),
        ("trade-off", "No finished trial"),
        ("trials", "There are no trials yet"),
    ):
        assert words in page.section(anchor), anchor
    assert not page.all("svg")


def test_a_study_of_failures_gives_their_reasons():
    page = Page(full_page("failed"))
    assert page.section("trials").count("FloatingPointError: the loss is not a number") == 4
    assert "No trial has a score yet" in page.section("history")


def test_nothing_given_is_changed(drawn):
    report = make_study()
    before = copy.deepcopy(report)
    render_study(report)
    assert report == before


def test_a_large_study_makes_a_page_that_a_browser_still_likes():
    params = [PARAMS[place % 6] | {"name": f"{PARAMS[place % 6]['name']}.{place}"} for place in range(20)]
    page = render_study(make_study(200, [f"task {number}" for number in range(8)], params, epochs=12))
    assert len(page) < 5_000_000
    assert page.count('<th scope="row">199</th>') == 1


def test_another_process_gives_the_same_page_without_pyplot():
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_page\n"
        "page = test_page.render_study(test_page.make_study(12))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(hashlib.sha256(page.encode()).hexdigest())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == hashlib.sha256(render_study(make_study(12)).encode()).hexdigest()


@needs_chromium
def test_a_browser_shows_the_page_legibly_without_errors_or_sideways_scrolling(tmp_path):
    watch = """
    const errors = [];
    addEventListener("error", event => errors.push(event.message || event.target.outerHTML.slice(0, 80)), true);
    console.error = (...words) => errors.push(words.join(" "));
    addEventListener("load", () => {
      document.querySelectorAll("details").forEach(each => { each.open = true; });
      const letters = [...document.querySelectorAll("svg text")], outside = [];
      for (const text of letters) {
        const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
        if (inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.top < outer.top - 2
            || inner.bottom > outer.bottom + 2) outside.push(text.ownerSVGElement.id + ": " + text.textContent);
      }
      parent.postMessage({
        name: location.hash.slice(1), window: document.documentElement.clientWidth,
        page: document.documentElement.scrollWidth, outside,
        letters: Math.min(...letters.map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
        errors}, "*");
    });"""
    pages = {name: full_page(name) for name in ("usual", "objectives", "nasty", "heads", "five")}
    for (_, width), row in at_both_widths(pages, watch, tmp_path).items():
        assert width - 20 <= row["window"] <= width, row  # a scroll bar may take some of it
        assert row["page"] <= row["window"], row
        assert row["letters"] >= 11, row
        assert row["outside"] == [], row
        assert row["errors"] == [], row
