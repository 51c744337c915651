"""``multitask config``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from multitask.cli.options import config_argument, set_option


@click.command()
@config_argument
@set_option
def command(config: Path, overrides: tuple[str, ...]) -> None:
    """Print CONFIG resolved, every default with it, or all that is wrong with it."""
    from multitask.config import Config, read_config
    from multitask.reporting.console import fail, show_yaml
    from multitask.settings import problems, validate

    data, folder = read_config(config, overrides)
    found = problems(Config, data, folder)
    for problem in found:
        fail(problem)
    if found:
        sys.exit(2)
    show_yaml(validate(Config, data, folder).to_yaml())
