"""``multitask recipe``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import config_argument, extensions_option, output_option, quiet_option, set_option
from multitask.cli.work import say_begun, to_the_end


@click.command()
@config_argument
@click.option("--budget", metavar="TIME", help="In all, over all launches: 2h, 90m, 5400s.  [default: the file's]")
@set_option
@output_option("out", help="The recipe's folder.  [default: runs/NAME]")
@extensions_option
@quiet_option
def command(
    config: Path,
    budget: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Better CONFIG stage by stage, and keep only what gains beyond noise on groups that picked nothing.

    CONFIG is a run config, or a recipe file that names one and the stages. The same line goes on with what was begun;
    what was spent before counts. The folder then holds the story (recipe.html) and the config that won (best.yaml).
    """
    say_begun(config, quiet)

    from multitask.recipe.settings import load_recipe

    plan = load_recipe(config, overrides, budget, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.recipe.folder import RecipeFolder
    from multitask.recipe.recipe import run_recipe
    from multitask.reporting.console import show_paths
    from multitask.reporting.recipe.console import show_recipe
    from multitask.reporting.study.console import make_study_progress

    folder = RecipeFolder(out or Path("runs") / plan.settings.name)
    progress = make_study_progress(quiet)
    report = to_the_end(lambda: run_recipe(plan, folder, progress), folder, progress, "recipe")
    if not quiet:
        show_recipe(report)
        show_paths({"recipe": folder.path, "page": folder.page, "best config": folder.best})
