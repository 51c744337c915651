"""A proposal for a path: its layout, what that says, and a draft of it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from multitask.data.sources.csv_file import refuse_other_file
from multitask.errors import UserError
from multitask.init.backbone import OwnBackbone
from multitask.init.draft import Draft, Proposal
from multitask.init.image_sizes import sample_sizes
from multitask.init.layouts import LAYOUTS, Layout, Options
from multitask.init.layouts.folder import AnyFolder
from multitask.init.layouts.table import AnyTable
from multitask.init.located import find_located
from multitask.init.roles import NoLabelsError, find_roles


def propose(path: Path, file: Path, options: Options, backbone: OwnBackbone | None = None) -> Proposal:
    """What a config of the images under a path should be.

    Args:
        path: a folder, a table or whatever else a layout knows.
        file: where the config is to be written; paths in it are relative to that folder.
        options: what the user says of the data.
        backbone: to be trained; None: one that learns from nothing.

    Raises:
        UserError: there is nothing to propose for; one line.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    rows = [row for row in LAYOUTS.values() if options.pattern is None or "pattern" in row.takes]
    layout = next((layout for row in rows if (layout := row(path)).fits()), None)
    if layout is None:
        if options.pattern is not None:
            raise UserError(f"--pattern: says what the images in a folder are called, and {path} is no folder")
        if path.is_file():
            refuse_other_file(path)
        raise UserError(f"{path}: is neither a folder nor a table (.csv, .tsv, .parquet), nor any other layout known")
    if options.images is not None and "images" not in layout.takes:
        raise UserError(f"--images: is of a table or an export, and {path} is neither, but {layout.title}")
    if isinstance(layout, AnyTable):
        return _propose_table(layout, file, options, backbone)
    if not layout.extracts():
        return _propose(layout, file, options, backbone)
    room, images = file.parent / f".{file.stem}_images.part", file.parent / f"{file.stem}_images"
    if os.path.lexists(images):
        raise UserError(f"{images}: exists; name another config with -o, beside which its images have room")
    shutil.rmtree(room, ignore_errors=True)  # of one that was killed
    try:
        return _propose(layout, file, replace(options, room=room), backbone, images)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def _propose_table(layout: AnyTable, file: Path, options: Options, backbone: OwnBackbone | None) -> Proposal:
    """The proposal for a table; for the names of folders or files beside it, where it has no labels and these do."""
    try:
        return _propose(layout, file, options, backbone)
    except NoLabelsError as problem:
        if layout.path.is_dir() and not options.labels and options.images is None:
            with suppress(UserError):
                return _propose(AnyFolder(layout.path), file, options, backbone, check=(f"not taken: {problem}",))
        others = f"; not read: {', '.join(layout.unread)}" if layout.unread else ""
        raise UserError(f"{problem}{others}") from None


def _propose(
    layout: Layout,
    file: Path,
    options: Options,
    backbone: OwnBackbone | None,
    images: Path | None = None,
    check: tuple[str, ...] = (),
) -> Proposal:
    """The proposal; ``images`` is where extracted images will be, ``check`` what to look at before all else."""
    observed = layout.observe(options)
    observed = replace(observed, check=(*check, *observed.check))
    located, problem = find_located(observed)
    if located is not None and not {*options.labels, options.group}.isdisjoint(located.columns):
        located = None
    if located is not None:
        rest = {name: words for name, words in observed.columns.items() if name not in located.columns}
        observed = replace(observed, columns=rest)
    if problem:
        observed = replace(observed, check=(*observed.check, problem))
    roles = find_roles(observed, options, str(observed.said_by or layout.path))
    sizes = sample_sizes(observed.root, observed.images)
    return Draft(layout.path, file, layout.title, observed, roles, sizes, backbone, images, located).proposal()
