"""Several runs of one label space as one, which everything that takes a run takes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.report_schema import RunReport
from multitask.labels import LabelSpace
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import members
from multitask.runs.ensemble_parts import EnsembleRecord, ensemble_form
from multitask.runs.ensemble_report import common_answers, write_mixed_report
from multitask.runs.environment import environment
from multitask.runs.folder import RunFolder
from multitask.runs.mixture import Mixture, Vote, Weighting
from multitask.training.device import resolve_device
from multitask.utils.files import csv_text, write_atomically
from multitask.utils.records import record_to_json
from multitask.utils.seeds import derive

_LEFT_OUT = ("last.safetensors", "*.html", ".lock", "explain")
"""Of a member's folder: what only training and readers need."""


def make_ensemble(
    paths: Sequence[Path],
    out: Path,
    *,
    weighting: Weighting = "fitted",
    vote: Vote = "soft",
    allow_extensions: bool = False,
) -> RunReport:
    """Makes a run folder of several runs, or runs in folds, that answer together.

    They may differ in backbone, image size, crop, normalisation and sharing. Their weights per head are fitted, and the
    whole is scored and gets its decode rules, on the images that all of them answered while they were unseen.

    Args:
        paths: at least two finished runs of one label space.
        out: the folder, which must not be there; it holds copies of the members.
        weighting: of a pool of probabilities: ``fitted`` by log-loss, or ``equal``.
        vote: ``soft``: the pool; ``hard``: a vote for each member's most probable label, ties broken per head by the
            mean probability.
        allow_extensions: whether code that the members' configs name may run.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: a run is named twice, is not finished, or has other tasks; no image was unseen by all; ``out`` is
            there. Nothing is written then.
    """
    check_new(out, paths)
    trained = read_members(paths, allow_extensions)
    base, config = _base(trained)
    answers = common_answers(trained, base)
    seed = derive(config.seed, "decode")
    mixture = Mixture.of(answers, ensemble_form(config), vote, weighting, seed)
    record = EnsembleRecord(
        vote=vote,
        weighting="equal" if vote == "hard" else weighting,
        members=tuple(str(path) for path in paths),
        base=base,
        weights=mixture.weights(),
    )
    folder = RunFolder(out)
    with folder.locked():
        try:
            for index, run in enumerate(trained):
                shutil.copytree(run.folder.path, folder.member(index).path, ignore=shutil.ignore_patterns(*_LEFT_OUT))
            first = trained[base].folder
            write_atomically(folder.data, record_to_json(replace(first.read_data(), crop=None, fit=None)))
            rows = (
                (image, group, "val") for image, group in zip(answers[base].images, answers[base].groups, strict=True)
            )
            write_atomically(folder.split, csv_text(("image", "group", "split"), rows))
            began = environment(config.seed, resolve_device(config.device))
            write_atomically(folder.environment, record_to_json(began))
            write_atomically(folder.ensemble, record_to_json(record))
            write_atomically(folder.config, config.to_yaml())  # last: what has one is a run
            return write_mixed_report(TrainedRun(folder, config))
        except BaseException:
            shutil.rmtree(out)
            raise


def check_new(out: Path, paths: Sequence[Path]) -> None:
    """Refuses a folder that is there, or that would lie in one of the runs that are copied into it.

    Raises:
        UserError: it is such a one.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; name another --output")
    for path in paths:
        if path.resolve() in out.resolve().parents:
            raise UserError(f"{out}: is in the folder of {path}; name another --output")


def read_members(paths: Sequence[Path], allow_extensions: bool = False) -> list[TrainedRun]:
    """Finished runs of one label space that groups validated.

    Raises:
        UserError: there are fewer than two, one is named twice, is not finished, is an ensemble or was trained on all
            groups; or the label spaces differ.
    """
    if len(paths) < 2:
        raise UserError("ensemble: needs two runs or more")
    seen: dict[Path, Path] = {}
    for path in paths:
        if (same := seen.get(path.resolve())) is not None:
            raise UserError(f"{path}: is named twice" + ("" if same == path else f", as {same} too"))
        seen[path.resolve()] = path
    trained = [read_run(path, allow_extensions=allow_extensions) for path in paths]
    space = trained[0].config.space()
    for run in trained:
        folder = run.folder
        if folder.is_ensemble:
            raise UserError(f"{folder.path}: is an ensemble itself; name its members")
        if run.config.final is not None:
            raise UserError(
                f"{folder.path}: all groups trained it, so nothing says how it answers new ones; name "
                f"{run.config.final}"
            )
        leaves = members(run)
        for leaf in leaves:
            if not leaf.folder.best.is_file():
                raise UserError(f"{leaf.folder.best}: no such checkpoint")
        if not folder.report().is_file():
            raise UserError(f"{folder.path}: is not finished, or was never scored: it has no {folder.report().name}")
        for part in (run, *leaves):
            part.folder.read_report()  # so that one that is damaged is named, and not its copy
        if difference := space_difference(run.config.space(), space):
            raise UserError(f"{folder.path}: {difference} of {paths[0]}; an ensemble needs one label space")
    return trained


def space_difference(found: LabelSpace, first: LabelSpace) -> str | None:
    """The first difference of a label space from another, in words that go on with "of" the other; None: there is none.

    >>> from multitask.labels import Task
    >>> space_difference(LabelSpace([Task("a", ("x", "y"))]), LabelSpace([Task("a", ("y", "x"))]))
    'task a has the labels x, y, not the y, x'
    """
    if found.task_names != first.task_names:
        return f"has the tasks {', '.join(found.task_names)}, not the {', '.join(first.task_names)}"
    for task, other in zip(found.tasks, first.tasks, strict=True):
        if task.classes != other.classes:
            return f"task {task.name} has the labels {', '.join(task.classes)}, not the {', '.join(other.classes)}"
    wrong = [
        name for name, one, two in zip(found.class_names, found.possible, first.possible, strict=True) if one != two
    ]
    if wrong:
        return f"class {wrong[0]} is possible in one of them only, unlike that"
    return None if found == first else "has tasks of another kind than those"


def _base(trained: Sequence[TrainedRun]) -> tuple[int, Config]:
    """The member whose config is the ensemble's, and that config.

    Its heads are the tasks unless all members learn the classes whole. Where some do, or have a joint term, the classes
    have outputs of their own.
    """
    configs = [run.config for run in trained]
    flat = [config.learned_space() != config.space() for config in configs]
    termed = [config.evaluation().joint_term for config in configs]
    base = termed.index(True) if any(termed) else flat.index(all(flat))
    changes: dict[str, object] = {
        "extensions": list(dict.fromkeys(path for config in configs for path in config.extensions))
    }
    if any(flat) and not all(flat) and not any(termed):
        changes["joint.weight"] = 1.0
        changes["balancer.name"] = "fixed"
    return base, configs[base].with_changes(changes)
