"""A proposal as it is worked out from what was observed: sections, words, and a trial."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from multitask.config import Config
from multitask.data.image_cache import choose_cache, pixel_bytes
from multitask.errors import UserError
from multitask.init.backbone import OwnBackbone, Plan, cores_here, gpu_here, plan
from multitask.init.config_text import config_text, counts_text
from multitask.init.image_sizes import Sizes
from multitask.init.label_table import label_table
from multitask.init.layouts import Observed
from multitask.init.located import Located
from multitask.init.never import never_seen
from multitask.init.roles import Roles
from multitask.init.sentences import VAL_FRACTION, assumptions, checks
from multitask.init.trial import watched_score
from multitask.settings import validate
from multitask.settings.yaml_text import parse_yaml
from multitask.utils.files import write_atomically
from multitask.utils.shared_arrays import default_folder
from multitask.utils.spelling import path_text, plural

_SIDES = {"left", "right", "links", "rechts", "l", "r"}
_NONE_WHOLE = "no image that validates has a label of each task"


@dataclass(frozen=True)
class Proposal:
    """A config that loads and whose data is read by it, not yet written.

    Attributes:
        text: of the config.
        table: what is written beside it as a table, with its name; None: the set is read as it is.
        images: the folder of images that were extracted, and what it shall be called; None: they have files.
        found: what was found, a line each.
        assumed: what was taken for granted.
        check: what the user should look at.
    """

    text: str
    table: tuple[Path, str] | None
    images: tuple[Path, Path] | None
    found: tuple[str, ...]
    assumed: tuple[str, ...]
    check: tuple[str, ...]

    def write(self, file: Path) -> None:
        """Writes the config, after the images and the table that it reads; all or nothing."""
        try:
            if self.images is not None:
                os.rename(*self.images)
            if self.table is not None:
                write_atomically(*self.table)
            write_atomically(file, self.text)
        except BaseException:
            for folder in self.images or ():
                shutil.rmtree(folder, ignore_errors=True)
            if self.table is not None:
                self.table[0].unlink(missing_ok=True)
            raise


class Draft:
    """The parts of a proposal, each worked out from what was observed."""

    def __init__(
        self,
        path: Path,
        file: Path,
        title: str,
        observed: Observed,
        roles: Roles,
        sizes: Sizes,
        backbone: OwnBackbone | None,
        images: Path | None,
        located: Located | None = None,
    ) -> None:
        self.path, self.file, self.title = path, file, title
        self.observed, self.roles, self.sizes = observed, roles, sizes
        self.images, self.located = images, located
        self.seen = sizes if located is None else located.sizes()
        self.tasks = roles.tasks
        self.copied = observed.source is None or roles.rewritten or self._lacks_a_column()
        self.copied |= located is not None and located.as_read is None
        self.table = file.with_suffix(".csv") if self.copied else None
        self.plan = self._plan(backbone)
        self.impossible = self._impossible()

    def proposal(self) -> Proposal:
        """The whole, tried.

        Raises:
            UserError: the table's file is there already; or the data cannot be read by the config.
        """
        if self.table is not None and os.path.lexists(self.table):
            raise UserError(f"{self.table}: exists; name another config with -o, beside which its table has room")
        check = (*self.observed.check, *self.roles.check, *checks(self))
        text = self._text(check)
        table = None
        if self.table is not None:
            table = self.table, label_table(self.observed.images, self.tasks, self.roles, self.located)
        monitor, usual = self._try(text, None if table is None else table[1])
        if monitor != usual:
            check = (*check, f"{_NONE_WHOLE}: the joint score stays empty, and {monitor} is watched in its place")
            text = self._text(check, monitor)
        images = None if self.images is None else (self.observed.root, self.images)
        return Proposal(text, table, images, self._found(), (*self.observed.assumed, *assumptions(self)), check)

    def _text(self, check: Sequence[str], monitor: str = "") -> str:
        return config_text(
            self._head(check),
            self.tasks,
            self.impossible,
            self._data(),
            not any({*map(str.casefold, task.classes)} & _SIDES for task in self.tasks),
            self.plan,
            self.roles.left_out,
            (monitor, _NONE_WHOLE) if monitor else None,
        )

    def _plan(self, backbone: OwnBackbone | None) -> Plan:
        num = len(self.observed.images)
        if self.roles.split is not None:
            counts = self.roles.words[self.roles.split].counts()
            num = sum(counts[side] for side in (self.roles.splits or {})["train"])
        else:
            num = max(1, round(num * (1 - VAL_FRACTION)))
        found = plan(num, self.seen, gpu=gpu_here(), cores=cores_here())
        if backbone is None:
            return found
        named: dict[str, object] = {"name": backbone.name, "weights": self._relative(backbone.weights)}
        return replace(found, backbone=named, epochs=10, seconds=math.nan, lr=3e-4)

    def _lacks_a_column(self) -> bool:
        """Whether the source would refuse images, or has no way to be told of the split."""
        named = set(self.roles.words)
        if self.observed.by_split is not None and self.roles.split is not None:
            if self.roles.split != self.observed.split:
                return True
            named.remove(self.roles.split)
        return not named.isdisjoint(self.observed.partial)

    def _impossible(self) -> list[dict[str, str]]:
        labels = np.stack([task.labels for task in self.tasks], axis=1)
        group = self.roles.group
        num_groups = len(labels) if group is None else self.roles.words[group].num_distinct
        cells = never_seen(labels, [len(task.classes) for task in self.tasks], num_groups)
        return [
            {self.tasks[task].name: self.tasks[task].classes[label] for task, label in cell.items()} for cell in cells
        ]

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path.resolve(), self.file.parent.resolve())

    # --- the data section -------------------------------------------------------------------------------------------

    def _data(self) -> dict[str, tuple[Any, str]]:
        size = self.plan.image_size
        width, height = self.seen.median
        what = {None: "images", "box": "boxes", "eyes": "faces"}[self.located.key if self.located else None]
        data: dict[str, tuple[Any, str]] = {
            "root": (self._relative(self.images or self.observed.root), ""),
            "source": (self._source(), ""),
        }
        if self.roles.split is None or not (self.roles.splits or {})["val"]:
            data["val_fraction"] = VAL_FRACTION, "of the groups, drawn at random"
        data["image_size"] = list(size), f"height, width; the {what}' median is {height} x {width}"
        if self.located is not None:
            columns = ", ".join(self.located.columns)
            data["crop"] = {"name": self.located.crop}, f"to the {'box' if what == 'boxes' else 'eyes'} of {columns}"
        data["fit"] = self._fit(size)
        if data["source"][0]["name"] == "webdataset" and self._beyond_memory(size):
            data["sampler"] = (
                {"name": "stream"},
                "shard after shard: decoded, the images are more than memory has room for",
            )
        return data

    def _fit(self, size: tuple[int, int]) -> tuple[str, str]:
        if self.located is None and not self.sizes.cut(size):
            return "crop", "which cuts nothing, since they all have this shape"
        return "pad", "which cuts nothing: images of other shapes get a white border"

    def _beyond_memory(self, size: tuple[int, int]) -> bool:
        """Whether decoded images would not be kept in memory, as ``data.cache: auto`` has it."""
        return choose_cache("auto", pixel_bytes(len(self.observed.images), size), default_folder()) != "memory"

    def _source(self) -> dict[str, Any]:
        split = self._split_settings()
        if self.table is not None:
            section: dict[str, Any] = {"name": "table", "table": self.table.name}
            return {**section, **({"group": "group"} if self.roles.group else {}), **split, **self._place()}
        assert self.observed.source is not None, "else a table is written"
        section = dict(self.observed.source)
        if self.observed.whole:
            return section
        if "table" in section:
            section["table"] = self._relative(Path(section["table"]))
        if self.observed.names_tasks:
            indices = [name for name in self.observed.indices if name in {task.name for task in self.tasks}]
            pattern = section["pattern"]
            for column in self.observed.columns:
                if column not in (*(task.name for task in self.tasks), self.roles.group, self.roles.split):
                    pattern = pattern.replace(f"{{{column}}}", "{_}")
            return {
                **section,
                "pattern": pattern,
                **({"indices": indices} if indices else {}),
                **_without(split, "split"),
            }
        renamed = {task.name: {"column": task.column} for task in self.tasks if task.name != task.column}
        group = {"group": self.roles.group} if self.roles.group else {}
        return {**section, **({"tasks": renamed} if renamed else {}), **group, **split, **self._place()}

    def _place(self) -> dict[str, list[str]]:
        """The columns of boxes or eyes, in the table that the config reads."""
        if self.located is None:
            return {}
        return {self.located.key: list(self.located.written if self.copied else self.located.as_read or ())}

    def _split_settings(self) -> dict[str, Any]:
        if self.roles.split is None:
            return {}
        if not self.copied and self.observed.by_split is not None:
            return dict(self.observed.by_split(self.roles.splits or {}))
        column = "split" if self.copied else self.roles.split
        return {"split": column, **({} if (self.roles.splits or {})["val"] else {"splits": {"val": []}})}

    def _try(self, text: str, table: str | None) -> tuple[str, str]:
        """Reads the data by the config, as training would: the score to watch, and the one that it names.

        Raises:
            UserError: it cannot be.
        """
        data = parse_yaml(text, str(self.file))
        with tempfile.TemporaryDirectory() as folder:
            if table is not None:
                data["data"]["source"]["table"] = str(Path(folder) / "table.csv")
                data["data"]["root"] = str(self.observed.root.resolve())
                (Path(folder) / "table.csv").write_text(table, encoding="utf-8")
            try:
                config = validate(Config, data, self.file.parent.resolve())
                return watched_score(config), config.training.monitor
            except UserError as error:
                raise UserError(f"{self.path}: {str(error).replace(f'{folder}/', '')}") from None

    # --- words ------------------------------------------------------------------------------------------------------

    def _head(self, check: Sequence[str]) -> list[str]:
        name = path_text(self.file.name)
        return [
            f"What `multitask init` made of {path_text(str(self.path))}: {self.title}. Made to be changed.",
            "",
            f"  look first: multitask eda {name}",
            f"  train:      multitask train {name} --out runs/first",
            *(["", "To check:"] if check else []),
            *(f"  - {line}" for line in check),
        ]

    def _found(self) -> tuple[str, ...]:
        num = len(self.observed.images)
        tasks = [f"{task.name}: {counts_text(task)}" for task in self.tasks]
        product = math.prod(len(task.classes) for task in self.tasks)
        height, width = self.plan.image_size
        epochs = plural(self.plan.epochs, "epoch", "epochs")
        network = f"{self.plan.backbone['name']} at {height} x {width} px, {epochs}"
        took = f", {self.plan.in_words}" if self.plan.in_words else ""
        return (
            f"{self.title}: {plural(num, 'image', 'images')} in {self.images or self.observed.root}",
            *tasks,
            f"{product:,} classes in all",
            network + took,
        )


def _without(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != key}
