from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from multitask.reporting import console
from multitask.reporting.study import console as study_console
from multitask.reporting.study.console import base_trial, best_trials, make_study_progress, show_study
from multitask.reporting.study.live import LiveStudyProgress, PlainStudyProgress
from tests.reporting.study.reports import study_report

TASKS = ["mask", "gender", "age"]


def trial(number, value=None, state="finished", origin="sampled", failure=None, tasks=TASKS, **params):
    finished = state == "finished"
    return {
        "number": number,
        "origin": origin,
        "state": state,
        "values": [value] if finished else None,
        "best_score": value,
        "params": params,
        "weights": None,
        "scores": {"joint": value, "tasks": dict.fromkeys(tasks, 0.75)} if finished else None,
        "history": [],
        "seconds": 12.0,
        "started": None,
        "finished": None,
        "failure": failure,
        "note": None,
    }


def report(*trials, **more):
    states = [trial["state"] for trial in trials]
    counts = {state: states.count(state) for state in ("finished", "pruned", "failed", "running", "waiting")}
    return {
        "study": "demo",
        "created": "2026-11-24T10:00:00+00:00",
        "base": "configs/demo.yaml",
        "objectives": [{"metric": "joint.macro_f1", "direction": "maximize"}],
        "sampler": "tpe",
        "pruner": "median",
        "seed": 0,
        "tasks": TASKS,
        "params": [],
        "counts": {**counts, "retried": 0},
        "seconds": 4320.0,
        "epochs": 96,
        "epochs_full": 96,
        "best": None,
        "front": [],
        "trials": list(trials),
        "importances": None,
        "importances_missing": None,
        "confirmation": None,
        "sentences": [],
        **more,
    }


def confirmed(number, value, difference=None, **more):
    return {
        "trial": number,
        "base": number == 0,
        "study_score": 0.561,
        "confirmed": value,
        "runs": [value - 0.01, value, value + 0.01],
        "luck": 0.561 - value,
        "pooled": value + 0.002,
        "pooled_ci": [value - 0.09, value + 0.09],
        "tasks": {task: {"value": 0.875, "ci": [0.8, 0.9]} for task in TASKS},
        "difference": difference,
        **more,
    }


CONFIRMATION = {
    "num_seeds": 3,
    "num_folds": 5,
    "num_groups": 141,
    "num_images": 987,
    "level": 0.98333,
    "winner": 17,
    "sentence": "Trial 17 beats the base beyond noise.",
    "luck_sentence": "Of its study score, .049 was luck.",
    "rows": [
        confirmed(0, 0.471),
        confirmed(17, 0.512, {"value": 0.041, "low": 0.01, "high": 0.071, "beyond_noise": True}),
        confirmed(3, 0.461, {"value": -0.01, "low": -0.031, "high": 0.02, "beyond_noise": False}),
    ],
}


@pytest.fixture
def show(monkeypatch):
    """What is shown of a report on a terminal of so many columns; no line is wider than it."""

    def make(given, columns=80, terminal=True):
        file = io.StringIO()
        made = Console(
            file=file,
            width=columns,
            force_terminal=terminal,
            color_system=None if terminal else "auto",
            highlight=False,
        )
        monkeypatch.setattr(study_console, "out", made)
        monkeypatch.setattr(console, "out", made)
        show_study(study_report(given))
        text = "\n".join(line.rstrip() for line in file.getvalue().splitlines())
        if terminal:
            assert max(map(cell_len, text.splitlines())) <= columns, text
        return text

    return make


def section(text, title):
    """The lines below a title, up to the next empty one."""
    return re.search(rf"^{re.escape(title)}.*\n((?:.+\n?)*)", text, re.M)[1].splitlines()


class TestMakeProgress:
    def test_live_in_a_terminal(self, monkeypatch):
        monkeypatch.setattr(study_console, "out", Console(file=io.StringIO(), force_terminal=True))
        progress = make_study_progress(quiet=False)
        assert isinstance(progress, LiveStudyProgress)
        progress.close()

    def test_plain_elsewhere(self, monkeypatch):
        monkeypatch.setattr(study_console, "out", Console(file=io.StringIO()))
        assert isinstance(make_study_progress(quiet=False), PlainStudyProgress)

    def test_warnings_alone_if_quiet(self, monkeypatch, capsys):
        monkeypatch.setattr(study_console, "out", Console(file=io.StringIO(), force_terminal=True))
        progress = make_study_progress(quiet=True)
        progress.say("a trial is waited for")
        progress.warn("trial 3: a tracker failed")
        assert capsys.readouterr() == ("", "warning: trial 3: a tracker failed\n")


class TestWhichTrials:
    def test_the_best_five_first(self):
        trials = [trial(number, value) for number, value in enumerate((0.1, 0.7, 0.3, 0.9, 0.5, 0.2, 0.7))]
        trials.append(trial(7, 1.0, state="pruned"))
        assert [one.number for one in best_trials(study_report(report(*trials)))] == [3, 1, 6, 4, 2]

    def test_the_least_where_less_is_better(self):
        loss = [{"metric": "joint.loss", "direction": "minimize"}]
        trials = [trial(number, value) for number, value in enumerate((1.5, 0.7, 2.5))]
        assert [one.number for one in best_trials(study_report(report(*trials, objectives=loss)))] == [1, 0, 2]

    def test_of_several_objectives_the_front(self):
        trials = [trial(number, value) for number, value in enumerate((0.1, 0.7, 0.3))]
        assert [one.number for one in best_trials(study_report(report(*trials, front=[0, 2])))] == [2, 0]

    def test_the_base_is_the_trial_that_took_its_place_if_its_worker_was_lost(self):
        trials = [trial(2, 0.5, origin="retry of 1"), trial(0, state="failed", origin="base"), trial(1, 0.5)]
        assert base_trial(study_report(report(*trials)).trials).number == 0
        trials[2] |= {"origin": "retry of 0", "state": "failed"}
        assert base_trial(study_report(report(*trials)).trials).number == 2

    def test_of_several_bases_the_one_that_finished(self):
        trials = [
            trial(0, state="failed", origin="base"),
            trial(1, 0.5, origin="base"),
            trial(2, state="failed", origin="base"),
        ]
        assert base_trial(study_report(report(*trials)).trials).number == 1

    def test_there_may_be_no_base(self):
        assert base_trial([]) is None
        assert base_trial(study_report(report(trial(1, 0.5))).trials) is None


class TestHead:
    def test_what_was_studied_and_how(self, show):
        text = show(report(), 200)
        assert text.splitlines()[1:3] == [
            "study demo",
            "maximize joint.macro_f1; base configs/demo.yaml, sampler tpe, pruner median, seed 0",
        ]

    def test_sentences_are_wrapped_in_a_terminal_and_whole_elsewhere(self, show):
        sentence = "The best of 12 finished trials is trial 7, and this sentence is longer than a terminal is wide. [b]"
        assert sentence not in show(report(sentences=[sentence]))
        assert sentence in show(report(sentences=[sentence])).replace("\n", " ")
        assert sentence in show(report(sentences=[sentence]), terminal=False)

    def test_counts(self, show):
        given = report(trial(0, 0.5, origin="base"), trial(1, state="pruned"), trial(2, state="waiting"))
        given["counts"]["retried"] = 2
        text = show(given, 100)
        assert "2 trials, 1 h 12 min of work: 1 finished, 1 pruned, 0 failed, 2 queued again, 1 waiting" in text

    def test_reasons_of_failures_are_counted(self, show):
        message = "ValueError: the loss is not finite\n[red] at batch 3"
        trials = [trial(number, state="failed", failure=message) for number in range(3)]
        trials.append(trial(3, state="failed"))
        assert section(show(report(*trials)), "why trials failed") == [
            "3 ×  ValueError: the loss is not finite [red] at batch 3",
            "1 ×  no reason is known",
        ]

    def test_many_reasons_are_not_all_shown(self, show):
        trials = [trial(number, state="failed", failure=f"reason {number}") for number in range(7)]
        lines = section(show(report(*trials)), "why trials failed")
        assert len(lines) == 6
        assert lines[-1] == "and for 2 other reasons"


class TestScores:
    def test_the_best_and_the_base_in_a_row_of_its_own(self, show):
        trials = [trial(0, 0.1, origin="base"), *(trial(number, 0.9 - 0.1 * number) for number in range(1, 8))]
        assert section(show(report(*trials, best=1)), "the best trials") == [
            "trial   joint  mask  gender   age",
            "1        .800  .750    .750  .750",
            "2        .700  .750    .750  .750",
            "3        .600  .750    .750  .750",
            "4        .500  .750    .750  .750",
            "5        .400  .750    .750  .750",
            "0 base   .100  .750    .750  .750",
        ]

    def test_a_base_among_the_best_is_shown_once(self, show):
        rows = section(show(report(trial(0, 0.9, origin="base"), trial(1, 0.5))), "the best trials")
        assert [row.split("  ")[0] for row in rows] == ["trial", "0 base", "1"]

    def test_a_base_that_failed_says_so(self, show):
        rows = section(show(report(trial(0, state="failed", origin="base"), trial(1, 0.5))), "the best trials")
        assert rows[-1].split() == ["0", "base,", "failed", "-", "-", "-", "-"]

    def test_several_objectives_have_a_column_each(self, show):
        trials = [trial(0, 0.1, origin="base"), trial(1, 0.5), trial(2, 0.4)]
        for one in trials:
            one["values"] = [one["values"][0], 1.25]
        objectives = [
            {"metric": "tasks.age.macro_f1", "direction": "maximize"},
            {"metric": "tasks.mask.loss", "direction": "minimize"},
        ]
        text = show(report(*trials, objectives=objectives, front=[2, 1]))
        assert section(text, "on the front, and the base")[:2] == [
            "trial    age  mask.loss  joint  mask  gender",
            "1       .500      1.250   .500  .750    .750",
        ]
        assert "on the front: 2 trials" in text
        trials[0]["values"] = [0.6, 1.0]
        assert "\non the front\n" in show(report(*trials, objectives=objectives, front=[0]))

    def test_heads_without_room_are_named(self, show):
        tasks = [f"attribute_{number}_of_the_face" for number in range(8)]
        given = report(trial(0, 0.5, origin="base", tasks=tasks), tasks=tasks)
        text = show(given)
        assert "not shown for want of room: attribute_6_of_the_face, attribute_7_of_the_face" in text
        assert "not shown" not in show(given, 120)

    def test_nothing_finished(self, show):
        assert "best trials" not in show(report())


class TestSettings:
    TITLE = "settings by trial, where they differ"

    def test_those_that_differ_a_column_per_trial(self, show):
        given = report(
            trial(0, 0.1, origin="base", **{"training.lr": 0.001, "augment.strength": 0.4}),
            trial(1, 0.5, **{"training.lr": 0.00212345, "augment.strength": 0.4}),
            trial(2, 0.4, **{"training.lr": 0.001, "augment.strength": 0.4, "heads.age.loss.gamma": 2.0}),
        )
        assert section(show(given), self.TITLE) == [
            "                            1      2   base",
            "training.lr           0.00212  0.001  0.001",
            "heads.age.loss.gamma        -      2      -",
        ]

    def test_heads_weights_stand_as_weights(self, show):
        trials = [trial(number, 0.5, **{"weight_ratio.age": 0.5 + number}) for number in range(2)]
        for number, one in enumerate(trials):
            one["weights"] = {"mask": 1.25 - number, "age": 0.75 + number}
        assert section(show(report(*trials)), self.TITLE)[1:] == [
            "heads.mask.weight  1.25  0.25",
            "heads.age.weight   0.75  1.75",
        ]

    def test_long_names_and_values_are_cut_to_fit(self, show):
        trials = [
            trial(
                number,
                0.5,
                **{
                    "heads.colour_of_the_hair.loss.class_weights.name": ("inverse_frequency", "effective_number")[
                        number % 2
                    ],
                    "heads.a_very_long_name_of_a_task_indeed.loss.class_weights.power": number / 7,
                },
            )
            for number in range(6)
        ]
        lines = section(show(report(*trials)), self.TITLE)
        assert len(lines) == 3  # no row on two lines
        assert lines[1].startswith("loss.class_weights ")
        assert "inver" in lines[1]
        assert "…" in lines[1]
        whole = section(show(report(*trials), 250), self.TITLE)
        assert whole[1].startswith("heads.colour_of_the_hair.loss.class_weights.name")
        assert whole[1].count("inverse_frequency") == 3

    def test_no_table_where_none_differs(self, show):
        trials = [trial(number, 0.5, **{"training.lr": 0.1}) for number in range(2)]
        assert self.TITLE not in show(report(*trials))


class TestImportances:
    def test_ranked_with_a_bar(self, show):
        lines = section(show(report(importances={"training.lr": 0.2, "seed": 0.8})), "what the score depends on")
        assert lines[1:] == [f"seed           80%  {'━' * 24}", f"training.lr    20%  {'━' * 6}"]

    def test_a_setting_that_only_some_trials_have_says_so(self, show):
        about = {"trials": {"training.lr": 9, "seed": 30}, "num_trials": 30, "conditional": ["training.lr"]}
        about["sentence"] = "PED-ANOVA: how much."
        shown = show(report(importances={"training.lr": 0.2, "seed": 0.8}, importances_about=about))
        lines = section(shown, "what the score depends on")
        assert lines[1].rstrip() == f"seed           80%      30  {'━' * 24}"
        assert lines[2].rstrip() == f"training.lr    20%       9  {'━' * 6}"
        assert lines[3:] == [
            "PED-ANOVA: how much.",
            "The share of a setting that only some trials have stands on these, and on",
            "whether they have it.",
        ]

    def test_the_least_are_counted(self, show):
        shares = {f"parameter_{number}": 0.3 if number < 2 else 0.04 for number in range(12)}
        lines = section(show(report(importances=shares)), "what the score depends on")
        assert len(lines) == 12
        assert lines[-1] == "and 2 others with 8% together"

    def test_why_there_are_none(self, show):
        assert "no importances: 3 finished trials are too few" in show(
            report(importances_missing="3 finished trials are too few")
        )
        assert "depends" not in show(report())


class TestConfirmation:
    def test_a_row_per_trial(self, show):
        lines = section(
            show(report(confirmation=CONFIRMATION)), "confirmed on 3 seeds × 5 folds, 987 images of 141 groups"
        )
        assert lines == [
            "trial   study  confirmed            runs         difference (98.3%)   noise",
            "0 base   .561       .471  .461 .471 .481",
            "17 ★     .561       .512  .502 .512 .522  +0.041 (+0.010 to +0.071)  beyond",
            "3        .561       .461  .451 .461 .471  -0.010 (-0.031 to +0.020)  within",
            "★ the winner; confirmed: the runs' mean; difference: of their pooled answers",
        ]

    def test_winner_and_base_with_their_heads_and_intervals(self, show):
        lines = section(show(report(confirmation=CONFIRMATION)), "macro-F1 of the pooled answers of all runs (95%)")
        assert lines[0].split() == ["base", "trial", "17"]
        assert lines[1] == "joint   .473 (.381 to .561)  .514 (.422 to .602)"
        assert lines[4] == "age     .875 (.800 to .900)  .875 (.800 to .900)"

    def test_its_sentences_are_said_once(self, show):
        text = show(report(confirmation=CONFIRMATION, sentences=[CONFIRMATION["sentence"]]))
        assert text.count("beats the base beyond noise") == 1
        assert text.count(".049 was luck") == 1

    def test_many_runs_are_a_range(self, show):
        rows = [confirmed(0, 0.471, runs=[0.4, 0.5, 0.3, 0.45]), confirmed(1, 0.5, runs=[None] * 4, study_score=None)]
        text = show(report(confirmation={**CONFIRMATION, "winner": None, "rows": rows}))
        lines = section(text, "confirmed on")
        assert ".300 to .500" in lines[1]
        assert lines[2].split() == ["1", "-", ".500", "-"]
        assert "★" not in text

    def test_the_base_may_win(self, show):
        lines = section(show(report(confirmation={**CONFIRMATION, "winner": 0})), "confirmed on")
        assert lines[1].startswith("0 base ★ ")
        assert max(map(cell_len, lines)) <= 80


def test_everything_at_once_fits(show):
    trials = [trial(0, 0.1, origin="base"), *(trial(number, number / 40, **{"a.b": number}) for number in range(1, 30))]
    given = report(*trials, confirmation=CONFIRMATION, importances={"a.b": 1.0}, best=29, sentences=["word " * 60])
    for columns in (80, 120):
        text = show(given, columns)
        assert all(
            title in text for title in ("study demo", "the best trials", "settings by", "depends", "confirmed on")
        )
