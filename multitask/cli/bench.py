"""``multitask bench``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath


@click.command()
@click.argument("config", type=FilePath, required=False)
@click.option("--study", is_flag=True, help="What a study costs beside its runs, and what it saves; about ten minutes.")
@click.option("--balancers", is_flag=True, help="What a step costs with each balancer; about five minutes.")
def command(config: Path | None, study: bool, balancers: bool) -> None:
    """Measure training and loading on this machine, as ratios, for CONFIG or for a standard network."""
    from multitask.reporting.console import make_progress, say, show_bench
    from multitask.runs.environment import machine

    if study and balancers:
        raise click.UsageError("--study and --balancers: one at a time")
    progress = make_progress(quiet=False)
    try:
        if study:
            from multitask.study.bench import measure_study

            found = measure_study(config, progress)
        elif balancers:
            from multitask.bench_balancers import measure_balancers

            found = measure_balancers(config, progress)
        else:
            from multitask.bench import measure

            found = measure(config, progress)
    finally:
        progress.close()
    here = machine()
    say(f"{here['processor']}, {here['num_cores']} cores{''.join(', ' + gpu for gpu in here['gpus'])}")
    show_bench(found)
