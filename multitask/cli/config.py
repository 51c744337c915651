"""``multitask config``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, set_option


@click.command()
@click.argument("config", type=FilePath, required=False)
@set_option
@click.option("--keys", is_flag=True, help="Print every key that a config may have, as Markdown; without CONFIG.")
@extensions_option
def command(config: Path | None, overrides: tuple[str, ...], keys: bool, allow_extensions: bool) -> None:
    """Print CONFIG resolved, every default with it, or all that is wrong with it."""
    from multitask.errors import UserError

    if keys:
        if config is not None or overrides:
            raise UserError("--keys: prints the keys that any config may have; leave CONFIG and --set out")
        _print_keys()
    elif config is None:
        raise click.MissingParameter(param_type="argument", param_hint="'CONFIG'")
    else:
        _print_resolved(config, overrides, allow_extensions)


def _print_keys() -> None:
    from multitask.config import Config
    from multitask.reporting.keys import keys_markdown
    from multitask.settings.keys import sections_of

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
