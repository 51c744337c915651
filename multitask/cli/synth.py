"""``multitask synth``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, quiet_option


@click.command()
@click.argument("folder", type=FilePath, metavar="DIR")
@click.option("--people", type=int, required=True, help="People to train on; a quarter as many others are in eval.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--noise", type=float, default=0.0, show_default=True, help="Fraction of wrong gender labels to plant.")
@quiet_option
def command(folder: Path, people: int, seed: int, noise: float, quiet: bool) -> None:
    """Draw a synthetic set in the competition's layout into DIR, with its answers beside it."""
    from multitask.data.drawing import draw_set
    from multitask.reporting.console import make_progress, say

    progress = make_progress(quiet)
    try:
        done = progress.stage("drawing", people, "people")
        drawn = draw_set(folder, people=people, seed=seed, noise=noise, on_person=lambda count, total: done(count))
    finally:
        progress.close()
    if not quiet:
        say(
            f"{drawn.num_images} images of {drawn.num_people} people to train on, {drawn.num_eval_images} of "
            f"{drawn.num_eval_people} others to answer, {drawn.num_wrong_labels} wrong labels planted: {folder}"
        )
