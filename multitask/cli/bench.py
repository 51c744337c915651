"""``multitask bench``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath


@click.command()
@click.argument("config", type=FilePath, required=False)
def command(config: Path | None) -> None:
    """Measure training and loading on this machine, as ratios, for CONFIG or for a standard network."""
    from multitask.bench import measure
    from multitask.reporting.console import make_progress, say, show_bench
    from multitask.runs.environment import machine

    progress = make_progress(quiet=False)
    try:
        found = measure(config, progress)
    finally:
        progress.close()
    here = machine()
    say(f"{here['processor']}, {here['num_cores']} cores{''.join(', ' + gpu for gpu in here['gpus'])}")
    show_bench(found)
