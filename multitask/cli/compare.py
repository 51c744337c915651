"""``multitask compare``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, complete_runs


@click.command()
@click.argument("runs", type=FilePath, nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--split", type=click.Choice(["val", "train", "test", "all", "eval"]), default="val", show_default=True)
def command(runs: tuple[Path, ...], split: str) -> None:
    """Show the scores of RUNS, paired differences to the first, and the settings that differ."""
    from multitask.errors import UserError
    from multitask.runs.config import read_run_settings
    from multitask.runs.folder import RunFolder
    from multitask.runs.names import distinct_names

    if len(runs) < 2:
        raise UserError("compare: needs two runs or more")
    opened = [(RunFolder(run), read_run_settings(RunFolder(run))) for run in runs]
    names = distinct_names([folder for folder, _ in opened])
    reports = [folder.read_report(split) for folder, _ in opened]

    # Only now: what follows takes seconds to import.
    from multitask.evaluation.predictions import Predictions
    from multitask.reporting.console import with_interval
    from multitask.reporting.run.console import show_differences, show_scores, show_settings
    from multitask.runs.comparison import differing_settings, paired_differences

    predictions = [
        Predictions.from_csv(folder.predictions(split), config.space, config.learned_space) for folder, config in opened
    ]
    differences = paired_differences(names, predictions)
    scores = {
        "joint.macro_f1": [with_interval(r.joint.macro_f1, r.joint.macro_f1_ci) for r in reports],
        "joint.accuracy": [with_interval(r.joint.accuracy, r.joint.accuracy_ci) for r in reports],
    }
    for task in reports[0].tasks:
        scores[f"tasks.{task}.macro_f1"] = [
            with_interval(r.tasks[task].macro_f1, r.tasks[task].macro_f1_ci) for r in reports
        ]
    settings = differing_settings([config.settings for _, config in opened])
    num_folds = [folder.num_folds for folder, _ in opened]
    if len(set(num_folds)) > 1:
        settings = {"--folds": num_folds, **settings}
    show_scores(names, scores)
    show_differences(names[0], differences)
    show_settings(names, settings)
