"""``multitask synth``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import FilePath, quiet_option

if TYPE_CHECKING:
    from multitask.data.synthetic import DrawnSet


@click.command()
@click.argument("folder", type=FilePath, metavar="DIR")
@click.option("--people", type=int, required=True, help="People to train on; a quarter as many others are in eval.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--noise", type=float, default=0.0, show_default=True, help="Fraction of wrong gender labels to plant.")
@quiet_option
def command(folder: Path, people: int, seed: int, noise: float, quiet: bool) -> None:
    """Draw a synthetic set in the competition's layout into DIR, with its answers beside it."""
    from multitask.reporting.console import say

    drawn = draw(folder, people, seed=seed, noise=noise, quiet=quiet)
    if not quiet:
        say(
            f"{drawn.num_images} images of {drawn.num_people} people to train on, {drawn.num_eval_images} of "
            f"{drawn.num_eval_people} others to answer, {drawn.num_wrong_labels} wrong labels planted: {folder}"
        )


def draw(folder: Path, people: int, *, seed: int = 0, noise: float = 0.0, quiet: bool) -> DrawnSet:
    """Draws a set with a progress bar."""
    from multitask.data.synthetic import draw_set
    from multitask.reporting.progress import make_progress

    progress = make_progress(quiet)
    bar: Callable[[int], None] | None = None

    def on_person(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:  # the number of people in all is known from here on
            bar = progress.stage("drawing", total, "people")
        bar(done)

    try:
        return draw_set(folder, people=people, seed=seed, noise=noise, on_person=on_person)
    finally:
        progress.close()
