"""``multitask init``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, output_option, quiet_option


@click.command()
@click.argument("path", type=FilePath)
@output_option("output", help="The config; none is replaced.", default=Path("config.yaml"), show_default=True)
@click.option("--pattern", help="Where names say labels, as '{age}_{gender}_{_}.jpg' or '{split}/{garment}'.")
@click.option("--labels", metavar="COLUMN,...", help="The columns that are labels.  [default: found]")
@click.option("--group", metavar="COLUMN", help="The column of who must stay together.  [default: found]")
@click.option("--images", type=FilePath, metavar="FOLDER", help="Where the images of a table or an export are.")
@click.option(
    "--backbone", metavar="NAME", help="A timm model, with --weights.  [default: one that learns from nothing]"
)
@click.option("--weights", type=FilePath, metavar="FILE", help="Its pretrained weights.")
@quiet_option
def command(
    path: Path,
    output: Path,
    pattern: str | None,
    labels: str | None,
    group: str | None,
    images: Path | None,
    backbone: str | None,
    weights: Path | None,
    quiet: bool,
) -> None:
    """Look at the images in PATH, a folder or a table, and write a config that trains on them as it is.

    It finds labels in columns, or in what folders and files are called, numbers to bin, groups, splits, a size that
    cuts nothing and a network for an hour on this machine, and says what it assumed.
    """
    import os

    from multitask.errors import UserError

    if os.path.lexists(output):
        raise UserError(f"{output}: exists; name another file with -o")
    if not output.parent.is_dir():
        raise UserError(f"-o: no such folder: {output.parent}")
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(f"-o: must end in .yaml, found {output}")
    if (backbone is None) != (weights is None):
        raise UserError("--backbone, --weights: name both: a timm model and the file of its weights, or neither")
    if images is not None and not images.is_dir():
        raise UserError(f"--images: no such folder: {images}")
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")

    # Only now: what follows takes a moment to import.
    from multitask.init import Options, OwnBackbone, propose
    from multitask.reporting.console import command_line, say, say_wrapped

    named = tuple(column.strip() for column in labels.split(",") if column.strip()) if labels else ()
    own = None if backbone is None or weights is None else OwnBackbone(backbone, weights)
    proposal = propose(path, output, Options(pattern, named, group, images), own)
    proposal.write(output)
    if quiet:
        return
    for line in proposal.found:
        say_wrapped(line)
    for title, lines in (("assumed:", proposal.assumed), ("to check:", proposal.check)):
        if lines:
            say(title)
        for line in lines:
            say_wrapped(line, bullet="  - ")
    beside = [*([proposal.table[0]] if proposal.table else []), *([proposal.images[1]] if proposal.images else [])]
    say(f"written: {', '.join(map(str, [output, *beside]))}")
    say(f"next: {command_line('multitask', 'eda', output)}, then {command_line('multitask', 'train', output)}")
