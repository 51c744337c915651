"""The progress of a study: live in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from multitask.progress import RunningTrial, StudyProgress, SweepStatus
from multitask.reporting.console import say_wrapped, score, warn
from multitask.reporting.study.text import (
    best_text,
    clock_text,
    counts,
    counts_text,
    deadline_of,
    heads_that_fit,
    seconds_left,
    short_names,
    time_text,
    value_text,
)
from multitask.reporting.text import shorten
from multitask.utils.spelling import plural

_MARKS = {
    "finished": ("✓", ""),
    "best": ("✓", "green"),
    "pruned": ("–", "dim"),
    "failed": ("✗", "red"),
    "retried": ("↻", "yellow"),
}
"""By how a trial ended: the mark before its line, and the line's style."""

_NAME = 28  # letters of a running trial's name
_SETTINGS = 24  # columns that settings have before heads are left out for them


class QuietStudyProgress(StudyProgress):
    """Warnings on the error stream, and nothing else."""

    def warn(self, text: str) -> None:
        """A line."""
        warn(text)


class PlainStudyProgress(QuietStudyProgress):
    """Plain lines: one as it begins, one a trial that ended, and one a minute where nothing else was said."""

    EVERY_S = 60.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: SweepStatus | None = None
        self._said = 0.0

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A line with the name and size of the work."""
        self.say(f"{name}: {total:,} {unit}")
        return lambda done: None

    def begin(self, view: SweepStatus) -> None:
        """A line with the budget and the workers."""
        self._view = view
        words = [_budget(view), plural(view.num_workers, "worker", "workers")]
        if view.ended:
            words.append(counts_text(view))
        names = {"searching": f"study {view.name}", "comparing": f"bake-off {view.name}", "confirming": "confirming"}
        what = names.get(view.phase, view.name)
        self.say(f"{what}: {', '.join(words)}")

    def tick(self) -> None:
        """A line on the running trials, once a minute."""
        now = time.monotonic()
        if self._view is None or not self._view.running or now - self._said < self.EVERY_S:
            return
        running = (
            f"{trial.name} {trial.epoch}/{trial.num_epochs}"
            + (f" {score(trial.scores['joint'])}" if trial.scores.get("joint") is not None else "")
            for _, trial in sorted(self._view.running.items())
        )
        left = _left_text(self._view, now)
        self.say(f"running, by epochs: {', '.join(running)}{f'; {left}' if left else ''}")

    def ended(self, text: str, kind: str) -> None:
        """A line on the trial, with the state of the study."""
        if self._view is None:
            self.say(text)
            return
        total = "" if self._view.total is None else f" of {self._view.total:,}"
        stands = "; ".join(part for part in (counts_text(self._view), best_text(self._view, time.monotonic())) if part)
        self.say(f"{_one_line(text)} ({self._view.ended:,}{total}: {stands})")

    def say(self, text: str) -> None:
        """A line."""
        self._said = time.monotonic()
        say_wrapped(text, console=self._console)


class LiveStudyProgress(QuietStudyProgress):
    """A bar, the best so far, counts and the running trials, below a line per trial that ended."""

    REFRESH_S = 0.12

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description:<10}", style="bold", markup=False),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[count]}", markup=False),
            _LeftColumn(compact=True),
            console=console,
            expand=True,
        )
        self._screen = _Screen()
        # Drawn only when told to, by the thread that changes the view.
        self._live = Live(Group(self._bars, self._screen), console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._bar: TaskID | None = None
        self._began = self._drawn = 0.0

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A bar of its own."""
        bar = self._bars.add_task(name, total=total, count=f"0/{total:,} {unit}")

        def done(count: int) -> None:
            if bar not in self._bars.task_ids:
                return
            self._bars.update(bar, completed=count, count=f"{count:,}/{total:,} {unit}")
            if count >= total:
                self._bars.remove_task(bar)
            self.tick()

        self._draw()
        return done

    def begin(self, view: SweepStatus) -> None:
        """The bar, and what stands below it."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        self._bar = self._bars.add_task("", total=None, count="")
        self._began = time.monotonic()
        self._screen.view = view
        self._draw()

    def tick(self) -> None:
        """Draws, at most a few times a second."""
        if time.monotonic() - self._drawn >= self.REFRESH_S:
            self._draw()

    def epoch(self, trial: RunningTrial) -> None:
        """Draws its scores."""
        self.tick()

    def ended(self, text: str, kind: str) -> None:
        """A line that stays."""
        mark, style = _MARKS[kind]
        self._move_bar()
        # One row, so that trials can be counted; what a long message holds beyond it is in the report.
        self._console.print(Text(f"{mark} {_one_line(text)}", style=style), no_wrap=True, overflow="ellipsis")

    def say(self, text: str) -> None:
        """A line that stays."""
        say_wrapped(text, console=self._console)

    def close(self) -> None:
        """What moves goes; the lines stay."""
        self._live.stop()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._move_bar()
        self._live.refresh()

    def _move_bar(self) -> None:
        view = self._screen.view
        if view is None or self._bar is None:
            return
        now = time.monotonic()
        deadline = deadline_of(view)
        total, completed = (None if view.total is None else float(view.total)), float(view.ended)
        count = f"{view.ended:,}" if view.total is None else f"{view.ended:,}/{view.total:,}"
        if total is None and deadline is not None:
            total, completed = max(deadline - self._began, 0.0), min(now, deadline) - self._began
            count = plural(view.ended, "trial", "trials")
        self._bars.update(
            self._bar,
            description=view.phase if view.counts_runs else "trials",
            total=total,
            completed=completed,
            count=count,
            left=_left_text(view, now),
        )


class _LeftColumn(TimeRemainingColumn):
    """The time left, of the study's bar as the study tells it."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return super().render(task) if left is None else Text(left, style="cyan", no_wrap=True)


class _Screen:
    """What stands below the bar, as wide as the terminal is just now."""

    def __init__(self) -> None:
        self.view: SweepStatus | None = None
        # All that were ever seen, so that columns and names stay as they are while trials come and go.
        self._tasks: dict[str, None] = {}
        self._keys: dict[str, None] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.view is None:
            return
        now = time.monotonic()
        if best := best_text(self.view, now):
            yield _row((best, ""))
        yield _row(*_with_commas(counts(self.view)))
        running = [trial for _, trial in sorted(self.view.running.items())]
        if not running:
            idle = (
                "no trial is running" if self.view.phase in ("searching", "confirming") else "no run is being trained"
            )
            yield _row((idle, "dim"))
            return
        room = max(console.size.height - 6, 1)  # for the bar, the lines above, the table's head and its end
        yield from self._table(running[:room], options.max_width, now)
        if len(running) > room:
            yield _row((f"and {len(running) - room} more", "dim"))

    def _table(self, running: Sequence[RunningTrial], width: int, now: float) -> Iterator[Text]:
        """The head and a row per trial; settings have what the scores leave, heads what leaves room for settings."""
        for trial in running:
            self._tasks |= dict.fromkeys(name for name in trial.scores if name != "joint")
            self._keys |= dict.fromkeys(trial.settings)
        keys = short_names(self._keys)
        cells = [
            ("running ", "epoch", " time"),  # as wide as trial 10 and 10:00, so that the columns seldom move
            *(
                (shorten(trial.name, _NAME), f"{trial.epoch}/{trial.num_epochs}", clock_text(now - trial.started))
                for trial in running
            ),
        ]
        widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        room = width - sum(widths) - 2 * len(widths) - len("joint")
        heads = heads_that_fit(self._tasks, room - (_SETTINGS + 2 if keys else 0))
        columns = [("joint", "joint", 5), *((task, heading, width) for task, (heading, width) in heads.items())]
        headings = [_right(heading, width) for _, heading, width in columns]
        yield _row(("  ".join([*_placed(cells[0], widths), *headings, "settings" if keys else ""]), "bold"))
        for trial, texts in zip(running, cells[1:], strict=True):
            scores = [_right(score(trial.scores.get(name)), width) for name, _, width in columns]
            settings = [
                part
                for place, (key, value) in enumerate(trial.settings.items())
                for part in ((f"{' ' if place else ''}{keys[key]}=", "dim"), (value_text(value), ""))
            ]
            before = "  ".join([*_placed(texts, widths), *scores, ""])
            yield _row((before, ""), *(settings or [("as the base" if keys else "", "dim")]))


def _placed(texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first to the left, the others to the right."""
    first = set_cell_size(texts[0], widths[0])
    return [first, *(_right(text, width) for text, width in zip(texts[1:], widths[1:], strict=True))]


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def _row(*parts: tuple[str, str]) -> Text:
    """Words with their styles on one row of the terminal, cut where it ends."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis", end="\n")


def _with_commas(parts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for place, part in enumerate(parts):
        yield from [(", ", ""), part] if place else [part]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _budget(view: SweepStatus) -> str:
    """How much there is to do: ``40 trials or 2 h, whichever is sooner``."""
    deadline = deadline_of(view)
    one, many = ("run", "runs") if view.counts_runs else ("trial", "trials")
    limits = [] if view.total is None else [plural(view.total, one, many)]
    if deadline is not None:
        limits.append(time_text(deadline - time.monotonic()))
    return f"{' or '.join(limits) or 'no limit'}{', whichever is sooner' if len(limits) > 1 else ''}"


def _left_text(view: SweepStatus, now: float) -> str:
    """``12 min left``; nothing where nothing tells or nothing is left."""
    left, deadline = seconds_left(view, now), deadline_of(view)
    if deadline is not None and now >= deadline:
        return "time is up"
    if left is None or view.ended == view.total:
        return ""
    return f"{time_text(left)} left"
