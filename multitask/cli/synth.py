"""``multitask synth``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from multitask.cli.options import FilePath, quiet_option

if TYPE_CHECKING:
    from multitask.data.synthetic import DrawnSet
    from multitask.data.synthetic.portraits import PortraitSet


@click.command()
@click.argument("folder", type=FilePath, metavar="DIR")
@click.option(
    "--people",
    type=int,
    help="People to train on; a quarter as many others are in eval.  [with --portraits: all that there are]",
)
@click.option("--eval-people", type=int, help="Others in eval, instead of a quarter as many.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--noise", type=float, help="Fraction of wrong gender labels to plant.  [default: 0.0]")
@click.option(
    "--portraits",
    type=FilePath,
    metavar="TABLE",
    help="Photographs to put masks on: CSV or Parquet, path, age, gender.",
)
@click.option("--masks", type=FilePath, metavar="FOLDER", help="Mask templates: PNGs with a transparent ground.")
@click.option("--yunet", type=FilePath, metavar="FILE", help="YuNet's ONNX file, where TABLE has no landmarks.")
@click.option(
    "--mix",
    metavar="WEIGHTS",
    help="`competition`, or six numbers with commas: men <30, 30-59, >=60, then women.  [default: as TABLE]",
)
@click.option("--size", type=int, nargs=2, metavar="WIDTH HEIGHT", help="Of the images.  [default: 384 512]")
@click.option("--no-face", type=click.Choice(["skip", "fail"]), help="Where no face is found.  [default: skip]")
@click.option("--workers", type=int, help="Threads; the files do not depend on it.  [default: one a core]")
@quiet_option
def command(
    folder: Path,
    people: int | None,
    eval_people: int | None,
    seed: int,
    noise: float | None,
    portraits: Path | None,
    quiet: bool,
    **of_portraits: Any,
) -> None:
    """Make a set in the competition's layout in DIR, with its answers beside it: drawn, or of any portraits.

    Drawn people need --people. With --portraits and --masks each portrait becomes a person: five images with a mask
    worn right, one with it worn wrong, one bare.
    """
    from multitask.errors import UserError
    from multitask.reporting.console import say_wrapped
    from multitask.utils.spelling import plural

    if portraits is not None:
        if noise is not None:
            raise UserError("--noise: is of drawn people; leave it out with --portraits")
        _mask(folder, portraits, people, eval_people, seed, quiet, **of_portraits)
        return
    for name, value in of_portraits.items():
        if value is not None:
            raise UserError(
                f"--{name.replace('_', '-')}: would be ignored without --portraits; leave it out, or add that"
            )
    if people is None:
        raise UserError("--people: say how many to draw, as --people 320; or name --portraits")
    drawn = draw(folder, people, eval_people=eval_people, seed=seed, noise=noise or 0.0, quiet=quiet)
    if not quiet:
        planted = plural(drawn.num_wrong_labels, "wrong label", "wrong labels")
        say_wrapped(f"{_counts(drawn)}, {planted} planted: {folder}")


def draw(
    folder: Path, people: int, *, eval_people: int | None = None, seed: int = 0, noise: float = 0.0, quiet: bool
) -> DrawnSet:
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
        return draw_set(folder, people=people, eval_people=eval_people, seed=seed, noise=noise, on_person=on_person)
    finally:
        progress.close()


def _mask(
    folder: Path,
    portraits: Path,
    people: int | None,
    eval_people: int | None,
    seed: int,
    quiet: bool,
    *,
    masks: Path | None,
    yunet: Path | None,
    mix: str | None,
    size: tuple[int, int] | None,
    no_face: str | None,
    workers: int | None,
) -> None:
    """Makes a set of portraits with a progress bar."""
    import os

    from multitask.data.synthetic.portraits import Request, make_set
    from multitask.errors import UserError
    from multitask.reporting.console import say_wrapped
    from multitask.reporting.progress import make_progress
    from multitask.utils.spelling import plural

    if masks is None:
        raise UserError("--masks: name the folder of mask templates, PNGs with a transparent ground")
    request = Request(
        table=portraits,
        masks=masks,
        yunet=yunet,
        people=people,
        eval_people=eval_people,
        mix=None if mix is None else _weights(mix),
        size=size or Request.size,
        seed=seed,
        strict=no_face == "fail",
        workers=len(os.sched_getaffinity(0)) if workers is None else workers,
    )
    progress = make_progress(quiet)
    try:
        made = make_set(folder, request, progress.stage)
    finally:
        progress.close()
    if quiet:
        return
    if made.faceless:
        named = ", ".join(made.faceless[:3]) + (", ..." if len(made.faceless) > 3 else "")
        portraits_text = plural(len(made.faceless), "portrait", "portraits")
        say_wrapped(f"{portraits_text} passed over, since no face is seen from the front: {named} (skipped.csv)")
    say_wrapped(f"{_counts(made)}: {folder}")


def _counts(made: DrawnSet | PortraitSet) -> str:
    from multitask.utils.spelling import plural

    people = plural(made.num_people, "person", "people")
    others = plural(made.num_eval_people, "other", "others")
    return (
        f"{plural(made.num_images, 'image', 'images')} of {people} to train on, {made.num_eval_images:,} of {others} "
        "to answer"
    )


def _weights(mix: str) -> tuple[float, ...]:
    """The weights of the six cells."""
    import math

    from multitask.data.synthetic.portraits.selection import CELLS, COMPETITION_MIX
    from multitask.errors import UserError

    if mix == "competition":
        return COMPETITION_MIX
    try:
        weights = tuple(float(word) for word in mix.split(","))
    except ValueError:
        weights = ()
    if len(weights) != len(CELLS) or not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
        raise UserError(f"--mix: must be `competition` or six numbers with commas ({', '.join(CELLS)}), found {mix!r}")
    return weights
