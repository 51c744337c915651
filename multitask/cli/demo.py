"""``multitask demo``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import output_option, quiet_option

PEOPLE = 320
"""To train and validate on; a quarter as many others are answered."""


@click.command()
@output_option("out", help="Where everything goes.  [default: runs/demo-DATE-TIME]")
@quiet_option
def command(out: Path | None, quiet: bool) -> None:
    """Draw a synthetic set, train on it, evaluate on people it never saw, and write report and submission."""
    from multitask.cli.synth import draw
    from multitask.cli.train import train_and_report
    from multitask.config import load_config
    from multitask.errors import UserError
    from multitask.progress import Progress
    from multitask.reporting.console import say, say_wrapped, score, show_paths, with_interval
    from multitask.runs.config import read_run
    from multitask.runs.evaluate import evaluate
    from multitask.runs.folder import new_folder
    from multitask.runs.page import write_page
    from multitask.runs.predict import write_submission
    from multitask.utils.shipped import config_file

    out = out or new_folder(Path("runs"), "demo")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: already exists; name another --out")
    data, run, submission = out / "data", out / "demo", out / "submission.csv"
    config = load_config(config_file("demo"), [f"data.root={data}"])

    drawn = draw(data, PEOPLE, quiet=quiet)
    train_and_report(config, run, resume=False, quiet=quiet)

    trained = read_run(run)
    report = evaluate(trained, "eval", Progress())
    page = write_page(trained, "eval")
    write_submission(trained, data, submission, Progress())
    if quiet:
        return
    joint = report.joint
    heads = ", ".join(f"{task} {score(scores.macro_f1)}" for task, scores in report.tasks.items())
    say()
    say_wrapped(
        f"On {drawn.num_eval_people:,} people that it never saw: joint macro-F1 "
        f"{with_interval(joint.macro_f1, joint.macro_f1_ci)}; {heads}"
    )
    show_paths(
        {
            "data": data,
            "run": run,
            "report, validation people": trained.folder.report("val", "html"),
            "report, people never seen": page,
            "submission": submission,
        }
    )
