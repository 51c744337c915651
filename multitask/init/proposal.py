"""A proposal for a path: its layout, what that says, and a draft of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from multitask.data.sources.csv_file import refuse_other_file
from multitask.errors import UserError
from multitask.init.backbone import OwnBackbone
from multitask.init.draft import Draft, Proposal
from multitask.init.image_sizes import sample_sizes
from multitask.init.layouts import LAYOUTS, Layout, Options
from multitask.init.located import find_located
from multitask.init.roles import find_roles


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
    layout = next((layout for row in LAYOUTS.values() if (layout := row(path)).fits()), None)
    if layout is None:
        if path.is_file():
            refuse_other_file(path)
        raise UserError(f"{path}: is neither a folder nor a table (.csv, .tsv, .parquet), nor any other layout known")
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


def _propose(
    layout: Layout,
    file: Path,
    options: Options,
    backbone: OwnBackbone | None,
    images: Path | None = None,
) -> Proposal:
    """The proposal; ``images`` is where extracted images will be."""
    observed = layout.observe(options)
    located, problem = find_located(observed)
    if located is not None and not {*options.labels, options.group}.isdisjoint(located.columns):
        located = None
    if located is not None:
        rest = {name: words for name, words in observed.columns.items() if name not in located.columns}
        observed = replace(observed, columns=rest)
    if problem:
        observed = replace(observed, check=(*observed.check, problem))
    roles = find_roles(observed, options, str(layout.path))
    sizes = sample_sizes(observed.root, observed.images)
    return Draft(layout.path, file, layout.title, observed, roles, sizes, backbone, images, located).proposal()
