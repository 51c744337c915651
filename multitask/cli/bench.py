"""``multitask bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from multitask.cli.options import FilePath, extensions_option, refuse_ignored

_OF_TO_SCORE = ("plain", "recipe", "seeds", "metric", "json_file")


@click.command()
@click.argument("config", type=FilePath, required=False)
@click.option("--study", is_flag=True, help="What a study costs beside its runs, and what it saves; about ten minutes.")
@click.option("--balancers", is_flag=True, help="What a step costs with each balancer; about five minutes.")
@click.option("--sharing", is_flag=True, help="One backbone to a flat head, and to a network per task; ten minutes.")
@click.option("--whole", is_flag=True, help="A whole run to a plain timm script, each a process; seven minutes.")
@click.option("--processes", is_flag=True, help="Training over two processes to one, each of one thread; ten minutes.")
@click.option("--stream", is_flag=True, help="Training on shards read as streams, to compute alone; ten minutes.")
@click.option("--predict", is_flag=True, help="Answers of a standard network, by each engine; about ten minutes.")
@click.option(
    "--to-score", is_flag=True, help="A recipe's time to the score that a plain config ends with; about five minutes."
)
@click.option("--plain", type=FilePath, help="Of --to-score: the config that sets the score.")
@click.option("--recipe", type=FilePath, help="Of --to-score: the config whose time to that score is taken.")
@click.option("--seeds", type=click.IntRange(1, 100), help="Of --to-score: runs of each config; 3 unless given.")
@click.option("--metric", help="Of --to-score: the score; joint.macro_f1 unless given.")
@click.option("--json", "json_file", type=FilePath, help="Of --to-score: also write it to this file, epoch by epoch.")
@extensions_option
def command(
    config: Path | None,
    study: bool,
    balancers: bool,
    sharing: bool,
    whole: bool,
    processes: bool,
    stream: bool,
    predict: bool,
    to_score: bool,
    allow_extensions: bool,
    **of_to_score: Any,
) -> None:
    """Measure speed on this machine, as ratios, for CONFIG or for a standard network."""
    if study + balancers + sharing + whole + processes + stream + predict + to_score > 1:
        raise click.UsageError(
            "--study, --balancers, --sharing, --whole, --processes, --stream, --predict and --to-score: one at a time"
        )
    if to_score:
        _to_score(config, allow_extensions=allow_extensions, **of_to_score)
        return
    refuse_ignored(lambda option: option in _OF_TO_SCORE, "it belongs to --to-score")
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
        elif stream:
            from multitask.bench.stream import measure_stream

            found = measure_stream(config, progress)
        elif predict:
            from multitask.bench.predict import measure_predict

            found = measure_predict(progress)
        else:
            from multitask.bench.training import measure

            found = measure(config, progress)
    finally:
        progress.close()
    say(machine().in_words())
    show_bench(found)


def _to_score(
    config: Path | None,
    plain: Path | None,
    recipe: Path | None,
    seeds: int | None,
    metric: str | None,
    json_file: Path | None,
    allow_extensions: bool,
) -> None:
    from multitask.config import load_config
    from multitask.errors import UserError

    if config is not None:
        raise click.UsageError("--to-score: compares --plain and --recipe; leave out CONFIG")
    if (plain is None) != (recipe is None):
        raise click.UsageError(
            "--to-score: takes both --plain and --recipe, or neither, which is a pair on drawn images"
        )
    if json_file is not None and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise UserError(f"--json: must be a file in a folder that is there, found {json_file}")
    files = None if plain is None or recipe is None else (plain, recipe)
    for file in files or ():
        load_config(file, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.bench.to_score import METRIC, SEEDS, measure_to_score
    from multitask.reporting.console import say
    from multitask.reporting.progress import make_progress
    from multitask.reporting.to_score.console import show_to_score
    from multitask.runs.environment import machine
    from multitask.utils.files import to_json, write_atomically
    from multitask.utils.records import to_json_data

    progress = make_progress(quiet=False)
    try:
        found = measure_to_score(
            files, progress, metric=metric or METRIC, num_seeds=seeds or SEEDS, allow_extensions=allow_extensions
        )
    finally:
        progress.close()
    here = machine()
    say(here.in_words())
    show_to_score(found)
    if json_file is not None:  # last: what was measured for so long is told though the disk is full
        write_atomically(json_file, to_json({**to_json_data(found), "machine": to_json_data(here)}))
