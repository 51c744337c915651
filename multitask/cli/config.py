"""``multitask config``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
@click.option(
    "--schema",
    is_flag=True,
    help="Print a JSON schema of configs, studies, bake-offs and recipes, for editors to complete and check them with; "
    "with CONFIG, its extensions' rows too.",
)
@extensions_option
def command(config: Path | None, overrides: tuple[str, ...], keys: bool, schema: bool, allow_extensions: bool) -> None:
    """Print CONFIG resolved, every default with it, or all that is wrong with it."""
    if keys and schema:
        raise click.UsageError("--keys and --schema: ask for one of them")
    if keys or schema:
        _print_settings(config, overrides, allow_extensions, "--keys" if keys else "--schema")
    elif config is None:
        raise click.MissingParameter(param_type="argument", param_hint="'CONFIG'")
    else:
        _print_resolved(config, overrides, allow_extensions)


def _print_settings(config: Path | None, overrides: tuple[str, ...], allow_extensions: bool, option: str) -> None:
    from multitask.config import Config, read_config
    from multitask.errors import UserError

    if config is not None:
        read_config(config, overrides, allow_extensions=allow_extensions)  # whose extensions are then in the tables
    elif overrides:
        raise UserError(f"--set: changes a setting of CONFIG, and there is none; {option} alone prints what can be set")
    if option == "--keys":
        from multitask.reporting.keys import keys_markdown
        from multitask.settings.keys import sections_of

        sys.stdout.write(keys_markdown(sections_of(Config)))
    else:
        import json

        sys.stdout.write(json.dumps(_schema(), indent=1, ensure_ascii=False) + "\n")


def _schema() -> dict[str, Any]:
    """Of every file that commands are given: what tells one from another is a key that no other has."""
    from multitask.bakeoff.settings import BakeoffSettings
    from multitask.config import Config
    from multitask.recipe.settings import RecipeSettings
    from multitask.settings import Settings
    from multitask.settings.json_schema import json_schema
    from multitask.study.settings import StudySettings

    others: dict[str, type[Settings]] = {
        "space": StudySettings,
        "contenders": BakeoffSettings,
        "stages": RecipeSettings,
    }
    return json_schema(Config, others)


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
