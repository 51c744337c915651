"""The progress of a run: live bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from multitask.progress import EpochRecord, Progress, ValidationScores
from multitask.reporting.console import out, say_wrapped, score, warn
from multitask.utils.spelling import plural


def make_progress(quiet: bool) -> Progress:
    """Live bars in a terminal, plain lines elsewhere, warnings alone if quiet."""
    if quiet:
        return QuietProgress()
    return LiveProgress(out) if out.is_terminal else PlainProgress(out)


def _scores_of(record: EpochRecord, tasks: Iterable[str]) -> list[tuple[str, float | None]]:
    """Joint and per-task macro-F1 of an epoch, None where no group validates."""
    val = record.val or ValidationScores()
    by_task = val.task_macro_f1()
    return [("joint", val.joint_macro_f1), *((task, by_task.get(task)) for task in tasks)]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _loss(record: EpochRecord) -> float:
    return _number(None if record.train is None else record.train.loss)


def _losses_in_words(losses: Mapping[str, float]) -> str:
    """Each head's loss, a dash where no label has been seen yet."""
    return " ".join(f"{head} {'-' if value != value else f'{value:.3f}'}" for head, value in losses.items())


def _fold_in_words(index: int, num_folds: int, done: bool) -> str:
    return f"fold {index}, {index + 1} of {num_folds}{': finished before' if done else ''}"


class QuietProgress(Progress):
    """Warnings on the error stream, and nothing else."""

    def warn(self, text: str) -> None:
        """A line."""
        warn(text)


class PlainProgress(QuietProgress):
    """Plain lines: one a stage, one an epoch, and one a minute within a long epoch."""

    EVERY_S = 60.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: set[str] = set()
        self._tasks: tuple[str, ...] = ()
        self._num_epochs = self._num_batches = self._epoch = 0
        self._said = 0.0

    def _print(self, text: str) -> None:
        say_wrapped(text, console=self._console)

    def note(self, text: str) -> None:
        """A line, unless it was shown before."""
        if text not in self._notes:
            self._notes.add(text)
            self._print(text)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A line with the name and size of the work."""
        self._print(f"{name}: {total:,} {unit}")
        return lambda done: None

    def answering(self, total: int | None) -> Callable[[int], None]:
        """A line with their number, and one a minute with the rate."""
        of_all = "" if total is None else f" of {total:,}"
        self._print("answering images" if total is None else f"answering {plural(total, 'image', 'images')}")
        began = self._said = time.monotonic()

        def done(count: int) -> None:
            now = time.monotonic()
            if now - self._said >= self.EVERY_S:
                self._said = now
                self._print(f"{count:,}{of_all} images, {count / (now - began):,.0f}/s")

        return done

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A line with the fold, and whether it was finished before."""
        self._print(_fold_in_words(index, num_folds, done))

    def training(self, first_epoch: int, num_epochs: int, num_batches: int, tasks: tuple[str, ...]) -> None:
        """A line with the epochs and batches to do."""
        self._tasks, self._num_epochs, self._num_batches, self._epoch = tasks, num_epochs, num_batches, first_epoch
        self._said = time.monotonic()
        if first_epoch > num_epochs:
            self._print(f"all {plural(num_epochs, 'epoch is', 'epochs are')} done")
        else:
            batches = plural(num_batches, "batch", "batches")
            self._print(f"training: epochs {first_epoch} to {num_epochs}, {batches} each")

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """A line with batches and losses, once a minute."""
        if time.monotonic() - self._said >= self.EVERY_S:
            self._said = time.monotonic()
            means = _losses_in_words(losses())
            self._print(f"epoch {self._epoch}/{self._num_epochs}: batch {done:,}/{self._num_batches:,}, loss {means}")

    def epoch(self, record: EpochRecord) -> None:
        """A line with the epoch's losses and scores."""
        self._said = time.monotonic()
        self._epoch = record.epoch + 1
        scores = " ".join(f"{name} {score(value)}" for name, value in _scores_of(record, self._tasks))
        best = ", best so far" if record.best and record.val else ""
        self._print(
            f"epoch {record.epoch}/{self._num_epochs}: loss {_loss(record):.3f}, macro-F1 {scores}, "
            f"{_number(record.seconds):.1f} s, {_number(record.images_per_s):.0f} images/s{best}"
        )


class _RateColumn(TextColumn):
    """Images per second of the bars that count them."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("note", ""), style="cyan", overflow="ellipsis", no_wrap=True)


class LiveProgress(QuietProgress):
    """Bars for run, epoch and batch below a table that grows by a row per epoch.

    They are drawn by the callbacks, and not by a thread of rich's: that and a row of the table could each
    draw a frame, neither of which knows of the other's.
    """

    REFRESH_S = 0.2

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: set[str] = set()
        self._bars = Bars(
            TextColumn("{task.description:<8}", style="bold", markup=False),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            _RateColumn(),
            console=console,
            expand=True,
        )
        self._live = Live(Group(self._bars), console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._tasks: tuple[str, ...] = ()
        self._started = self._drawn = 0.0
        self._num_epochs = self._num_batches = 0
        self._run = self._epoch_bar = self._batch_bar = TaskID(0)
        self._training_bars: tuple[TaskID, ...] = ()
        self._answering: tuple[TaskID, ...] = ()

    def note(self, text: str) -> None:
        """A line above the bars, once."""
        if text not in self._notes:
            self._notes.add(text)
            say_wrapped(text, console=self._console)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A bar for the work, which goes when it is done."""
        bar = self._bars.add_task(name, total=total)

        self._draw()

        def done(count: int) -> None:
            if bar not in self._bars.task_ids:
                return
            self._bars.update(bar, completed=count)
            if count >= total:
                self._bars.remove_task(bar)
            if count >= total or self._is_time():
                self._draw()

        return done

    def answering(self, total: int | None) -> Callable[[int], None]:
        """A bar with the rate in place of that of before; without a total it only moves."""
        self._remove(self._answering)
        bar = self._bars.add_task("images", total=total)
        self._answering = (bar,)
        began = time.monotonic()
        self._draw()

        def done(count: int) -> None:
            if bar not in self._bars.task_ids:
                return
            rate = count / max(time.monotonic() - began, 1e-9)
            self._bars.update(bar, completed=count, note=f"{rate:,.0f} images/s")
            if self._is_time():
                self._draw()

        return done

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A line above the fold's table; the bars of the fold before go."""
        self._remove(self._training_bars)
        self._training_bars = ()
        self._console.print(Text(_fold_in_words(index, num_folds, done), style="bold"), soft_wrap=True)

    def training(self, first_epoch: int, num_epochs: int, num_batches: int, tasks: tuple[str, ...]) -> None:
        """Three bars and the head of the table."""
        self._num_epochs, self._num_batches = num_epochs, num_batches
        # A table row must fit the narrowest terminal: heads that do not fit are left to the report.
        room = (self._console.width - 36) // 9
        self._tasks = tasks[: max(1, room - 1)]
        if first_epoch > num_epochs:
            say_wrapped(f"all {plural(num_epochs, 'epoch is', 'epochs are')} done")
            return
        self._remove((*self._training_bars, *self._answering))
        self._run = self._bars.add_task("run", total=num_epochs, completed=first_epoch - 1)
        self._epoch_bar = self._bars.add_task("epoch", total=None)
        self._batch_bar = self._bars.add_task("batch", total=num_batches)
        self._training_bars = (self._run, self._epoch_bar, self._batch_bar)
        names = [f"{name[:8]:>8}" for name in ("joint", *self._tasks)]
        self._console.print(
            Text(f"{'epoch':>9} {'loss':>7} {' '.join(names)} {'s':>6} {'images/s':>9}", style="bold"), soft_wrap=True
        )
        self._started = time.monotonic()

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """Moves the bars, at most a few times a second."""
        if 1 < done < self._num_batches and not self._is_time():
            return
        if done == 1:
            self._bars.reset(self._epoch_bar, total=None)
            self._bars.reset(self._batch_bar, total=self._num_batches)
        elapsed = max(time.monotonic() - self._started, 1e-9)
        per_batch = num_images / done
        self._bars.update(
            self._epoch_bar,
            total=round(per_batch * self._num_batches),
            completed=num_images,
            note=f"{num_images / elapsed:.0f} images/s",
        )
        means = _losses_in_words(losses())
        self._bars.update(self._batch_bar, completed=done, note=means)
        self._draw()

    def epoch(self, record: EpochRecord) -> None:
        """A row of the table."""
        scores = [f"{score(value):>8}" for _, value in _scores_of(record, self._tasks)]
        row = (
            f"{record.epoch:>4}/{self._num_epochs:<4} {_loss(record):>7.3f} {' '.join(scores)} "
            f"{_number(record.seconds):>6.1f} {_number(record.images_per_s):>9.0f}"
        )
        best = record.best and record.val
        self._bars.update(self._run, completed=record.epoch)
        self._console.print(Text(row + (" ★" if best else ""), style="green" if best else ""), soft_wrap=True)
        self._started = time.monotonic()

    def _remove(self, bars: Iterable[TaskID]) -> None:
        """Bars of work that has ended, of which a command may have many."""
        for bar in set(bars) & {*self._bars.task_ids}:
            self._bars.remove_task(bar)

    def _is_time(self) -> bool:
        return time.monotonic() - self._drawn >= self.REFRESH_S

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._live.refresh()

    def close(self) -> None:
        """The bars go; the table stays."""
        self._live.stop()
