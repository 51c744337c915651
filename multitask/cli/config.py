"""``multitask config``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, set_option


@click.command()
@click.argument("config", type=FilePath, required=False)
@set_option
@click.option(
    "--keys",
    is_flag=True,
    help="Print every key that a config may have, as Markdown; with CONFIG, its extensions' keys too.",
)
@extensions_option
def command(config: Path | None, overrides: tuple[str, ...], keys: bool, allow_extensions: bool) -> None:
    """Print CONFIG resolved, every default with it, or all that is wrong with it."""
    if keys:
        _print_keys(config, overrides, allow_extensions)
    elif config is None:
        raise click.MissingParameter(param_type="argument", param_hint="'CONFIG'")
    else:
        _print_resolved(config, overrides, allow_extensions)


def _print_keys(config: Path | None, overrides: tuple[str, ...], allow_extensions: bool) -> None:
    from multitask.config import Config, read_config
    from multitask.errors import UserError
    from multitask.reporting.keys import keys_markdown
    from multitask.settings.keys import sections_of

    if config is not None:
        read_config(config, overrides, allow_extensions=allow_extensions)  # whose extensions are then in the tables
    elif overrides:
        raise UserError("--set: changes a setting of CONFIG, and there is none; --keys alone prints what can be set")
    sys.stdout.write(keys_markdown(sections_of(Config)))


def _print_resolved(config: Path, overrides: tuple[str, ...], allow_extensions: bool) -> None:
    from multitask.config import Config, read_config
    from multitask.reporting.console import fail, show_yaml
    from multitask.settings import problems, validate

    data, folder = read_config(config, overrides, allow_extensions=allow_extensions)
    found = problems(Config, data, folder)
    for problem in found:
        fail(problem)
    if found:
        sys.exit(2)
    show_yaml(validate(Config, data, folder).to_yaml())
