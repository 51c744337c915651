from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console

from multitask.progress import RunningTrial, SweepStatus
from multitask.reporting.study import live
from multitask.reporting.study.live import LiveStudyProgress, PlainStudyProgress

TASKS = ("mask", "gender", "age", "colour_of_the_hair", "glasses", "expression_of_the_face")
NOW = 1000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time that stands still until a test moves it."""
    found = SimpleNamespace(now=NOW)
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


class Terminal:
    """What somebody sees on a terminal that a live progress draws on."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._written = io.StringIO()
        self.console = Console(
            file=self._written,
            force_terminal=True,
            width=columns,
            height=lines,
            color_system="standard",
            highlight=False,
        )
        self._screen = pyte.Screen(columns, lines)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self._screen)

    def lines(self) -> list[str]:
        """The rows of the screen, without the empty ones at its end."""
        self._stream.feed(self._written.getvalue())
        self._written.seek(0)
        self._written.truncate()
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    def colour(self, row: int) -> str:
        """Of the first letter of a row."""
        return self._screen.buffer[row][0].fg


def trial(number: int, tasks: int = 3, epoch: int = 3, **more) -> RunningTrial:
    scores = {"joint": 0.5, **{task: 0.1 * place for place, task in enumerate(TASKS[:tasks], 1)}} if epoch else {}
    settings = {
        "augment.strength": 0.31234,
        "training.lr": 1.23456e-05,
        "heads.age.loss.name": "focal",
        **{f"heads.{task}.weight": 1.0 for task in TASKS[:tasks]},
    }
    return RunningTrial(f"trial {number}", 8, more.pop("settings", settings), epoch, scores, started=NOW - 65)


def study(*running: RunningTrial, **more) -> SweepStatus:
    settings = {"total": 40, "num_workers": max(len(running), 1), "running": dict(enumerate(running)), **more}
    return SweepStatus("demo", ("joint.macro_f1",), **settings)


def watch(view: SweepStatus, columns: int = 80, lines: int = 24) -> tuple[Terminal, LiveStudyProgress]:
    terminal = Terminal(columns, lines)
    progress = LiveStudyProgress(terminal.console)
    progress.begin(view)
    return terminal, progress


def seen(view: SweepStatus, columns: int = 80, lines: int = 24) -> list[str]:
    terminal, _ = watch(view, columns, lines)
    return terminal.lines()


class TestLiveTable:
    @pytest.mark.parametrize("columns", [80, 120])
    @pytest.mark.parametrize("workers", [1, 2, 8])
    @pytest.mark.parametrize("tasks", [1, 3, 6])
    def test_a_row_per_trial_that_fits_the_terminal(self, columns, workers, tasks):
        lines = seen(study(*(trial(10 + number, tasks) for number in range(workers))), columns)
        assert len(lines) == 4 + workers  # bar, best, counts, head, and no row on two lines
        assert max(map(cell_len, lines)) <= columns
        head, *rows = lines[3:]
        assert re.match(r"running +epoch +time +joint +mask", head)
        assert head.endswith("settings")
        for number, row in enumerate(rows, 10):
            assert re.match(rf"trial {number} +3/8 +1:05 +\.500 +\.100 .*strength=0\.312 ", row), row

    def test_what_a_narrow_terminal_shows(self):
        *_, head, row = seen(study(trial(12)), 80)
        assert head == "running   epoch   time  joint   mask  gender    age  settings"
        assert row == "trial 12    3/8   1:05   .500   .100    .200   .300  strength=0.312 lr=1.23e-05…"

    def test_what_a_wide_terminal_shows(self):
        *_, row = seen(study(trial(12)), 120)
        assert row.endswith("strength=0.312 lr=1.23e-05 loss=focal mask.weight=1 gender.weight=…")

    def test_settings_that_just_fit_are_not_cut(self):
        whole = seen(study(trial(12, tasks=1)), 200)[4]
        assert whole.endswith(" weight=1")
        assert seen(study(trial(12, tasks=1)), len(whole))[4] == whole
        assert seen(study(trial(12, tasks=1)), len(whole) - 1)[4].endswith("…")

    def test_heads_give_way_to_settings_and_joint_stays(self):
        narrow, wide = (seen(study(trial(0, tasks=6)), columns)[3] for columns in (80, 120))
        assert narrow.split() == ["running", "epoch", "time", "joint", "mask", "gender", "age", "settings"]
        assert wide.split()[4:] == ["mask", "gender", "age", "colou…air", "glasses", "expre…ace", "settings"]

    def test_a_very_narrow_terminal_keeps_joint(self):
        lines = seen(study(trial(0)), 40)
        assert lines[3].split() == ["running", "epoch", "time", "joint", "settings"]
        assert len(lines) == 5

    def test_without_settings_heads_have_their_room(self):
        head, row = seen(study(trial(0, tasks=6, settings={})), 80)[3:]
        assert head.split()[4:] == ["mask", "gender", "age", "colou…air", "glasses"]
        assert len(row) == len(head)

    def test_the_base_among_others_says_so(self):
        rows = seen(study(trial(0, settings={}), trial(1)))[4:]
        assert rows[0].endswith("  as the base")

    def test_before_its_first_epoch_a_trial_has_no_scores(self):
        assert re.match(r"trial 1 +0/8 +1:05 +-  strength=", seen(study(trial(1, epoch=0)))[4])

    def test_columns_stay_while_trials_come_and_go(self):
        view = study(trial(1))
        terminal, progress = watch(view)
        head = terminal.lines()[3]
        view.running = {0: trial(2, epoch=0, settings={"augment.strength": 0.5})}
        progress._draw()
        assert terminal.lines()[3] == head

    def test_names_in_other_scripts_keep_the_columns_straight(self):
        other = trial(1)
        other.name = "試験 1"
        other.scores = {"joint": 0.5, "仮面仮面": 0.25, "mask": 0.75}
        head, *rows = seen(study(other, trial(2)))[3:]
        # pyte shows a wide letter as itself and an empty cell.
        head, *rows = (re.sub("([試験仮面])", r"\1 ", line) for line in (head, *rows))
        assert {row.index(".500") for row in rows} == {head.index("joint") + 1}
        assert rows[0].index(".750") == head.index("mask")

    def test_the_names_of_confirming_runs_are_whole(self):
        run = trial(17)
        run.name = "trial 17, seed 2, fold 3"
        lines = seen(study(run, phase="confirming", total=15))
        assert lines[3].startswith("trial 17, seed 2, fold 3 ")
        assert max(map(cell_len, lines)) <= 80

    def test_nothing_runs(self):
        assert seen(study())[3:] == ["no trial is running"]

    def test_more_trials_than_lines_are_counted(self):
        lines = seen(study(*(trial(number) for number in range(8))), lines=10)
        assert lines[0].startswith("trials")
        assert len(lines) == 4 + 4 + 1
        assert lines[-1] == "and 4 more"


class TestLiveBar:
    def test_trials_that_ended_and_the_time_left(self):
        lines = seen(study(finished=9, pruned=2, failed=1, mean_seconds=60.0))
        assert re.fullmatch(r"trials     ━+[╸╺]?━+ 12/40 28 min left", lines[0])
        assert len(lines[0]) == 80

    def test_no_time_is_told_before_a_trial_ended(self):
        assert seen(study())[0].endswith("━ 0/40")

    def test_by_time_where_only_hours_are_the_budget(self, clock):
        view = study(total=None, deadline=NOW + 7200, finished=12)
        terminal, progress = watch(view)
        clock.now += 1800
        progress.tick()
        line = terminal.lines()[0]
        assert line.endswith("12 trials 1 h 30 min left")
        row = terminal._screen.buffer[0]
        bar = [row[column].fg for column, letter in enumerate(line) if letter in "━╸╺"]
        assert bar.count("cyan") / len(bar) == pytest.approx(0.25, abs=0.03)

    def test_the_sooner_of_hours_and_trials(self):
        view = study(total=40, deadline=NOW + 600, mean_seconds=60.0)
        assert seen(view)[0].endswith("0/40 10 min left")
        view.deadline = NOW + 6000
        assert seen(view)[0].endswith("0/40 40 min left")

    def test_the_time_is_up(self):
        assert seen(study(total=None, deadline=NOW - 5))[0].endswith("0 trials time is up")

    def test_a_study_without_end_counts(self):
        assert seen(study(total=None, finished=3))[0].endswith("━ 3")

    def test_it_says_that_the_study_confirms(self):
        view = study(finished=4, total=12, mean_seconds=60.0, phase="confirming", deadline=NOW - 5)
        lines = seen(view)
        assert re.fullmatch(r"confirming ━+[╸╺]?━+ 4/12 8 min left", lines[0])
        assert lines[1:] == ["4 runs done", "no trial is running"]

    def test_a_change_of_phase_begins_a_bar_anew(self):
        view = study(total=None, deadline=NOW + 100, finished=3)
        terminal, progress = watch(view)
        view.phase, view.total, view.finished = "confirming", 6, 0
        progress.begin(view)
        lines = terminal.lines()
        assert lines[0].startswith("confirming")
        assert lines[0].endswith("0/6")
        assert not any(line.startswith("trials") for line in lines)

    def test_best_and_counts(self):
        lines = seen(study(finished=12, pruned=5, failed=1, retried=2, best=0.5124, best_trial=7, best_since=NOW - 185))
        assert lines[1:3] == [
            "best .512, trial 7, 3 min ago",
            "12 finished, 5 pruned, 1 failed, 2 queued again",
        ]

    def test_a_stage_has_a_bar_until_it_is_done(self):
        terminal = Terminal()
        progress = LiveStudyProgress(terminal.console)
        done = progress.stage("reading images", 50, "images")
        assert terminal.lines()[0].startswith("reading images ━")
        assert "0/50 images" in terminal.lines()[0]
        done(50)
        progress.begin(study())
        assert "reading" not in "\n".join(terminal.lines())

    def test_it_is_drawn_a_few_times_a_second(self, clock):
        view = study()
        terminal, progress = watch(view)
        terminal.lines()
        view.finished = 7
        clock.now += progress.REFRESH_S / 2
        progress.tick()
        progress.epoch(trial(1))
        assert "0/40" in terminal.lines()[0]
        clock.now += progress.REFRESH_S
        progress.tick()
        assert "7/40" in terminal.lines()[0]


class TestLiveLines:
    def test_a_line_per_trial_scrolls_above(self):
        view = study(trial(3))
        terminal, progress = watch(view)
        kinds = {"finished": "default", "best": "green", "pruned": "default", "failed": "red", "retried": "brown"}
        for number, kind in enumerate(kinds):
            view.finished = number + 1
            progress.ended(f"trial {number}: {kind}", kind)
        lines = terminal.lines()
        assert lines[:5] == [
            "✓ trial 0: finished", "✓ trial 1: best", "– trial 2: pruned", "✗ trial 3: failed", "↻ trial 4: retried",
        ]  # fmt: skip
        assert [terminal.colour(row) for row in range(5)] == list(kinds.values())  # pyte calls yellow brown
        assert "5/40" in lines[5]
        assert len(lines) == 5 + 5

    def test_a_long_message_is_cut_to_a_row(self):
        terminal, progress = watch(study())
        progress.ended(f"trial 1: ValueError: {'the loss is not finite; ' * 9}\nand more", "failed")
        lines = terminal.lines()
        assert cell_len(lines[0]) == 80
        assert lines[0].endswith("…")
        assert lines[1].startswith("trials")

    def test_brackets_are_no_markup(self):
        terminal, progress = watch(study())
        progress.ended("trial 1: ValueError: [red]values[/red] [/]", "failed")
        progress.say("[bold]said")
        assert terminal.lines()[:2] == ["✗ trial 1: ValueError: [red]values[/red] [/]", "[bold]said"]

    def test_close_leaves_the_lines_and_can_be_done_twice(self, clock):
        terminal, progress = watch(study(trial(1)))
        progress.ended("trial 0: .512", "finished")
        progress.say("x" * 100)
        progress.close()
        progress.close()
        clock.now += 1
        progress.tick()
        assert terminal.lines() == ["✓ trial 0: .512", "x" * 80, "x" * 20]


class TestPlain:
    @pytest.fixture
    def written(self):
        return io.StringIO()

    @pytest.fixture
    def progress(self, written):
        return PlainStudyProgress(Console(file=written, width=80, highlight=False))

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ({"num_workers": 2}, "study demo: 40 trials, 2 workers"),
            ({"total": 1, "deadline": NOW + 7200}, "study demo: 1 trial or 2 h, whichever is sooner, 1 worker"),
            ({"total": None, "deadline": NOW + 7200}, "study demo: 2 h, 1 worker"),
            ({"total": None}, "study demo: no limit, 1 worker"),
            ({"finished": 3}, "study demo: 40 trials, 1 worker, 3 finished, 0 pruned, 0 failed"),
            ({"phase": "confirming", "total": 12, "deadline": NOW - 1}, "confirming: 12 runs, 1 worker"),
            ({"phase": "comparing", "total": 12}, "bake-off demo: 12 runs, 1 worker"),
        ],
    )
    def test_begin_says_how_much_there_is_to_do(self, progress, written, more, line):
        progress.begin(study(**more))
        assert written.getvalue() == line + "\n"

    def test_a_line_per_trial_with_counts_and_best(self, progress, written):
        view = study(finished=2, pruned=1, best=0.512, best_trial=1, best_since=NOW - 30)
        progress.begin(view)
        progress.ended("trial 2: pruned\nafter 3 epochs [median]", "pruned")
        assert written.getvalue().splitlines()[1:] == [
            "trial 2: pruned after 3 epochs [median] "
            "(3 of 40: 2 finished, 1 pruned, 0 failed; best .512, trial 1, 30 s ago)"
        ]

    def test_a_line_per_confirming_run(self, progress, written):
        progress.begin(study(finished=1, total=12, phase="confirming"))
        progress.ended("trial 2, seed 1: .512", "finished")
        assert written.getvalue().splitlines()[1:] == ["trial 2, seed 1: .512 (1 of 12: 1 run done)"]

    def test_a_line_a_minute_where_nothing_else_was_said(self, progress, written, clock):
        view = study(trial(7), trial(8, epoch=0), mean_seconds=120.0)
        progress.begin(view)

        def lines_after(seconds: float) -> list[str]:
            written.seek(0)
            written.truncate()
            clock.now += seconds
            progress.tick()
            return written.getvalue().splitlines()

        assert lines_after(59) == []
        assert lines_after(1) == ["running, by epochs: trial 7 3/8 .500, trial 8 0/8; 38 min left"]
        assert lines_after(30) == []
        progress.say("something")
        assert lines_after(31) == []
        assert len(lines_after(30)) == 1
        view.running.clear()
        assert lines_after(100) == []

    def test_stages_and_words(self, progress, written):
        progress.stage("reading images", 50, "images")(50)
        progress.say("x" * 100)
        progress.close()
        assert written.getvalue() == f"reading images: 50 images\n{'x' * 100}\n"


PLAYED = """
import time
from multitask.reporting.study.console import make_study_progress
from multitask.progress import RunningTrial, SweepStatus

progress = make_study_progress(False)
view = SweepStatus("demo", ("joint.macro_f1",), total=3, num_workers=1)
progress.begin(view)
for number in range(3):
    trial = RunningTrial(f"trial {number}", 2, {"training.lr": 0.001 * number} if number else {})
    view.running[0] = trial
    for trial.epoch in (1, 2):
        trial.scores = {"joint": 0.5, "mask": 0.9}
        time.sleep(progress.REFRESH_S)
        progress.epoch(trial)
    del view.running[0]
    view.finished += 1
    view.mean_seconds = 1.0
    view.best, view.best_trial, view.best_since = 0.5, number, time.monotonic()
    progress.ended(f"trial {number}: .500 after 2 epochs", "best")
progress.close()
print("done")
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_terminal_shows_what_moves_and_keeps_what_ended(columns: int) -> None:
    screen = pyte.Screen(columns, 24)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "COLUMNS": str(columns),
        "LINES": "24",
        "TERM": "xterm-256color",
    }
    process = subprocess.Popen([sys.executable, "-c", PLAYED], stdout=slave, stderr=slave, stdin=slave, env=environment)
    os.close(slave)
    frames = []
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        for frame in re.split(rb"(?=\r\x1b\[2K)", part):  # a read may hold several, which begin so
            stream.feed(frame)
            frames.append("\n".join(line.rstrip() for line in screen.display))
    os.close(master)
    assert process.wait(timeout=60) == 0, frames[-1]

    # A read may end in the middle of a frame, so one whole frame among them is what is asked for.
    whole = (
        r"✓ trial 0: \.500 after 2 epochs\n"
        r"trials     ━+[╸╺]?━+ 1/3 \d+ s left\n"
        r"best \.500, trial 0, \d+ s ago\n"
        r"1 finished, 0 pruned, 0 failed\n"
        r"running   epoch   time  joint   mask  settings\n"
        r"trial 1     [12]/2   0:\d\d   \.500   \.900  lr=0\.001\n"
    )
    assert any(re.match(whole, found) for found in frames), frames[len(frames) // 2]
    kept = [f"✓ trial {number}: .500 after 2 epochs" for number in range(3)]
    assert frames[-1].rstrip().split("\n") == [*kept, "done"]
