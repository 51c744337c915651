"""``multitask bench``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option


@click.command()
@click.argument("config", type=FilePath, required=False)
@click.option("--study", is_flag=True, help="What a study costs beside its runs, and what it saves; about ten minutes.")
@click.option("--balancers", is_flag=True, help="What a step costs with each balancer; about five minutes.")
@click.option("--sharing", is_flag=True, help="One backbone to a flat head, and to a network per task; ten minutes.")
@click.option("--whole", is_flag=True, help="A whole run to a plain timm script, each a process; seven minutes.")
@click.option("--processes", is_flag=True, help="Training over two processes to one, each of one thread; ten minutes.")
@click.option("--predict", is_flag=True, help="Answers of a standard network, by each engine; about ten minutes.")
@extensions_option
def command(
    config: Path | None,
    study: bool,
    balancers: bool,
    sharing: bool,
    whole: bool,
    processes: bool,
    predict: bool,
    allow_extensions: bool,
) -> None:
    """Measure speed on this machine, as ratios, for CONFIG or for a standard network."""
    if study + balancers + sharing + whole + processes + predict > 1:
        raise click.UsageError("--study, --balancers, --sharing, --whole, --processes and --predict: one at a time")
    if predict and config is not None:
        raise click.UsageError("--predict: measures a standard network; leave out CONFIG")
    from multitask.config import load_config

    if config is not None:
        # What is wrong with it is said before what follows is imported, which takes seconds.
        load_config(config, allow_extensions=allow_extensions)
    from multitask.reporting.console import say, show_bench
    from multitask.reporting.progress import make_progress
    from multitask.runs.environment import machine

    progress = make_progress(quiet=False)
    try:
        if study:
            from multitask.bench.study import measure_study

            found = measure_study(config, progress)
        elif balancers:
            from multitask.bench.balancers import measure_balancers

            found = measure_balancers(config, progress)
        elif sharing:
            from multitask.bench.sharing import measure_sharing

            found = measure_sharing(config, progress)
        elif whole:
            from multitask.bench.whole import measure_whole

            found = measure_whole(config, progress)
        elif processes:
            from multitask.bench.processes import measure_processes

            found = measure_processes(config, progress)
        elif predict:
            from multitask.bench.predict import measure_predict

            found = measure_predict(progress)
        else:
            from multitask.bench.training import measure

            found = measure(config, progress)
    finally:
        progress.close()
    here = machine()
    say(f"{here.processor}, {here.num_cores} cores{''.join(', ' + gpu for gpu in here.gpus)}")
    show_bench(found)
