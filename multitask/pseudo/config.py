"""The config that trains on a table of pseudo-labels too, as on one more source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.samplers import PerSourceSettings
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError
from multitask.pseudo.report_schema import PseudoReport, read_report
from multitask.pseudo.table import SPLIT, WEIGHT
from multitask.settings.yaml_text import read_yaml

LABELLED, PSEUDO = "labelled", "pseudo"
"""The names of the sources: of the images whose labels are given, where they had none yet, and of the others."""

_DEALT = ("pick_fraction", "test_folds", "train_groups")
"""The settings that deal those who train, of the target where one is named."""

_DRAWN = {
    "groups_balanced": "draws a pseudo-labelled image that has no group as often as a whole group of labelled ones",
    "per_group": "serves each pseudo-labelled image that has no group in every epoch, and of labelled groups a few",
    "class_weighted": "draws images of which some labels are known as classes of their own",
}


def with_pseudo_labels(
    config: Config, table: Path, report: PseudoReport | None = None, *, instead_of: Path | None = None
) -> Config:
    """A config that trains on a table of pseudo-labels too, as a source of its own that never validates.

    The groups that validate stay those of the config: where it has one source, that becomes the target of several. With
    ``data.sampler`` ``per_source`` each image is drawn as often as one of the source whose images are to be answered.

    Args:
        config: of the label space that the table's run has.
        table: as ``write_table`` writes it.
        report: the table's; None: it is read beside it.
        instead_of: another table of the config, whose place it takes; None: it is one more.

    Raises:
        UserError: the report is missing or damaged, or as of ``check_trains``.
    """
    report = report or read_report(table)
    check_trains(config, table, report.tasks, report.run)
    source: dict[str, Any] = {
        "name": "table",
        "file": os.path.relpath(os.path.abspath(table), report.root),
        "path": report.columns["path"],
        "group": "group",
        "weight": report.columns[WEIGHT],
        "split": report.columns[SPLIT],
        "splits": {"test": []},  # words for who validates stay, so that nobody here is dealt
        "links_outside": True,
        "tasks": {
            task.name: {"indices": True}
            for task in config.space().tasks
            if task.kind == "binned" and task.name in report.given
        },
    }
    part: dict[str, Any] = {"root": report.root, "source": source, "tasks": list(report.given)}
    own = config.data.source
    if not isinstance(own, SeveralSettings):
        labelled = {"root": config.data.root, "source": own.model_dump(mode="json")}
        both = {"name": "several", "target": LABELLED, "sources": {LABELLED: labelled, PSEUDO: part}}
        return config.with_changes({"data.root": "", "data.source": both})
    name, sources = _name(config, own, instead_of or table), own.model_dump(mode="json")["sources"]
    queried = sources[own.queried]  # as whose images these were framed when they were labelled
    sources[name] = part | {key: queried[key] for key in ("crop", "fit")}
    changes: dict[str, object] = {"data.source.sources": sources}
    if isinstance(config.data.sampler, PerSourceSettings):
        weights = config.data.sampler.weights
        share = report.num_labelled / _num_training(config, own.queried)
        changes["data.sampler.weights"] = weights | {name: weights.get(own.queried, 1.0) * share}
    return config.with_changes(changes)


def check_trains(config: Config, table: Path, tasks: Mapping[str, tuple[str, ...]], run: str) -> None:
    """Refuses a config that cannot train on a run's labels too.

    Args:
        config: any.
        table: of the labels, as errors name it.
        tasks: task -> its labels' names, of the run.
        run: its name.

    Raises:
        UserError: the config is of another label space; its corrections name images as where there is one source; or
            the images would be dealt as those of a target are, which it does not name.
    """
    _check_space(config, table, tasks, run)
    own, data = config.data.source, config.data
    if not isinstance(own, SeveralSettings):
        if data.corrections is not None:
            raise UserError(
                "data.corrections: name images by paths that begin with the source's name where there are several; "
                f"write the source as several (its name {LABELLED!r}), and the corrections' paths with {LABELLED}/ "
                "before"
            )
        return
    dealt = next((key for key in _DEALT if getattr(data, key)), None)
    if own.target is None and dealt is not None:
        raise UserError(
            f"data.{dealt}: pseudo-labelled images would be dealt too; name the source whose images are to be answered "
            "in data.source.target, and only its groups are"
        )


def is_config_of(path: Path, table: Path) -> bool:
    """Whether a file is a config that trains on a table, as the one that is written beside it."""
    try:
        sources = read_yaml(path)["data"]["source"]["sources"].values()
        files = [os.path.join(part["root"], part["source"]["file"]) for part in sources if "file" in part["source"]]
    except (UserError, KeyError, TypeError, AttributeError):
        return False
    return any(os.path.abspath(file) == os.path.abspath(table) for file in files)


def sampler_note(config: Config) -> str:
    """What a config's sampler does to pseudo-labelled images beside their weight; empty where it does nothing."""
    found = _DRAWN.get(config.data.sampler.name)
    return "" if found is None else f"data.sampler: {config.data.sampler.name} {found}, whatever their weight"


def source_of_table(config: Config, table: Path) -> str | None:
    """The name of the source that a table is in a config; None: it is none."""
    own = config.data.source
    for name, part in own.sources.items() if isinstance(own, SeveralSettings) else ():
        file = getattr(part.source, "file", None) if part.source.name == "table" else None
        if file is not None and os.path.abspath(Path(part.root, file)) == os.path.abspath(table):
            return name
    return None


def _name(config: Config, own: SeveralSettings, table: Path) -> str:
    """Of the source: that which the table has already, or a free one."""
    if name := source_of_table(config, table):
        return name
    numbered = (f"{PSEUDO}{number}" for number in count(2))
    return next(name for name in chain([PSEUDO], numbered) if name not in own.sources)


def _num_training(config: Config, source: str) -> int:
    samples = Dataset.read(config.data, config.space(), config.seed).training_samples()
    return max(1, int(np.sum(samples.sources == source)))


def _check_space(config: Config, table: Path, tasks: Mapping[str, tuple[str, ...]], run: str) -> None:
    wanted = {task.name: task.classes for task in config.space().tasks}
    if tasks == wanted and list(tasks) == list(wanted):
        return
    for name in wanted:
        if name not in tasks:
            raise UserError(
                f"{table}: the config that trains on it is of another label space: the labels' run {run} has no task "
                f"{name!r}"
            )
        if tasks[name] != wanted[name]:
            raise UserError(
                f"{table}: the config that trains on it is of another label space: {name} has the classes "
                f"{', '.join(wanted[name])} there and {', '.join(tasks[name])} in the labels' run {run}"
            )
    raise UserError(
        f"{table}: the config that trains on it is of another label space: the labels' run {run} has the tasks "
        f"{', '.join(tasks)} and the config {', '.join(wanted)}"
    )
