"""What is damaged, how, and which command is asked to make something of it."""

from __future__ import annotations

import copy
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import mutate
from tests.fuzz.world import BAKEOFF, CONFIG, STUDY, Answer, HungError, digests, multitask

Random = random.Random
RUN_FILES = (
    "config.yaml", "environment.json", "data.json", "decode.json", "metrics.jsonl", "split.csv", "report.json",
    "predictions-val.csv", "checkpoints/best.safetensors",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A damaged copy of a part of the world, and the words of a command.

    Attributes:
        what: what was damaged and how.
        words: of the command.
        kept: files and folders that must be afterwards what they were before.
    """

    what: str
    words: tuple[object, ...]
    kept: tuple[Path, ...]


def _dump(data: Any) -> str:
    text: str = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    return text


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogatepass")


def config(world: Path, place: Path, rng: Random) -> Case:
    """Settings of a run."""
    data = copy.deepcopy(CONFIG)
    data["data"]["root"] = str(world / "images")
    path = place / "config.yaml"
    if rng.random() < 0.8:
        _write(path, _dump(mutate.changed(data, rng, rng.choice([1, 1, 2, 5]))))
        what = "changed"
    else:
        _write(path, _dump(data))
        what = mutate.bluntly(path, rng)
    return Case(f"config {what}", ("config", path), (world / "images",))


def override(world: Path, place: Path, rng: Random) -> Case:
    """``--set``."""
    keys = ["labels.tasks.garment.classes", "data.image_size", "training.lr", "heads.garment.loss", "augment", "seed"]
    keys += ["data.source.group", "heads", "model.backbone.options.x", "", ".", "a..b", "training.schedule.name"]
    value = rng.choice(
        [*map(str, mutate.VALUES), "[", "{a", "&a [*a]", "!!int ''", "!!python/object:os.system x", "---"]
    )
    words = ("config", world / "config.yaml", "--set", f"{rng.choice(keys)}={value[:2000]}".replace("\x00", "?"))
    return Case("--set", words, (world / "config.yaml",))


def study_file(world: Path, place: Path, rng: Random) -> Case:
    """A study file; where it is still one, its data is missing, so that nothing is launched."""
    return _plan(world, place, rng, "study", STUDY)


def bakeoff_file(world: Path, place: Path, rng: Random) -> Case:
    """A bake-off file, likewise."""
    return _plan(world, place, rng, "bakeoff", BAKEOFF)


def _plan(world: Path, place: Path, rng: Random, kind: str, data: dict[str, Any]) -> Case:
    _write(place / "config.yaml", _dump(CONFIG))  # beside which there are no images
    path = place / f"{kind}.yaml"
    _write(path, _dump(mutate.changed(data, rng, rng.choice([1, 1, 2]))))
    what = "changed"
    if rng.random() < 0.2:
        what = mutate.bluntly(path, rng)
    return Case(f"{kind} file {what}", (kind, path, "--out", place / "out", "-q"), (place / "config.yaml",))


def table(world: Path, place: Path, rng: Random) -> Case:
    """The table of samples."""
    root = place / "images"
    shutil.copytree(world / "images", root)
    path = root / "train.csv"
    for _ in range(rng.choice([1, 2, 5])):
        mutate.swap_cells(path, rng)
    what = "cells"
    if rng.random() < 0.4:
        what = mutate.bluntly(path, rng)
    words = ("train", world / "config.yaml", "--set", f"data.root={root}", "--out", place / "out", "-q")
    return Case(f"table {what}", words, (root,) if what not in ("as_link", "as_fifo") else ())


def queries(world: Path, place: Path, rng: Random) -> Case:
    """Images to be answered, and the table that names them."""
    root = place / "images"
    shutil.copytree(world / "images", root)
    if rng.random() < 0.6:
        path = root / "images" / rng.choice(["24.png", "25.jpg", "26.png", "27.jpg"])
    else:
        path = root / "queries.csv"
    what = f"{path.suffix} {mutate.bluntly(path, rng)}"
    return Case(f"queries {what}", ("predict", world / "run", "--data", root, "-o", place / "out.csv", "-q"), ())


def run_folder(world: Path, place: Path, rng: Random) -> Case:
    """The files of a run, beside one that is whole."""
    runs = place / "runs"
    shutil.copytree(world / "run", runs / "hurt")
    shutil.copytree(world / "run", runs / "whole")
    name = rng.choice(RUN_FILES)
    path = runs / "hurt" / name
    if name.endswith((".json", ".jsonl")):
        what = mutate.json_file(path, rng)
    elif name.endswith(".csv") and rng.random() < 0.6:
        mutate.swap_cells(path, rng)
        what = "cells"
    elif rng.random() < 0.05:
        other = runs / "hurt" / rng.choice([file for file in RUN_FILES if file != name])
        kept = path.read_bytes()
        path.write_bytes(other.read_bytes())
        other.write_bytes(kept)
        what = f"swapped with {other.name}"
    else:
        what = mutate.bluntly(path, rng)
    hurt, whole = runs / "hurt", runs / "whole"
    images = world / "images"
    commands: dict[str, list[tuple[object, ...]]] = {
        "checkpoints/best.safetensors": [("predict", hurt, "--data", images, "-o", place / "out.csv", "-q")],
        "metrics.jsonl": [("runs", runs), ("report", hurt)],
        "report.json": [("runs", runs), ("report", hurt), ("compare", hurt, whole)],
        "predictions-val.csv": [("compare", hurt, whole), ("compare", whole, hurt)],
        "config.yaml": [("compare", hurt, whole), ("runs", runs), ("evaluate", hurt, "-q")],
        "decode.json": [("predict", hurt, "--data", images, "-o", place / "out.csv", "-q")],
    }
    fallback = [
        ("runs", runs),
        ("evaluate", hurt, "-q"),
        ("train", world / "config.yaml", "--out", hurt, "--resume", "-q"),
    ]
    return Case(f"run's {name} {what}", rng.choice(commands.get(name, fallback)), (whole, images))


def study_folder(world: Path, place: Path, rng: Random) -> Case:
    """The files of a study."""
    folder = place / "study"
    shutil.copytree(world / "made-study", folder, ignore=shutil.ignore_patterns("trials", "reuse"))
    name = rng.choice(["study.db", "study.db", "study.yaml"])
    path = folder / name
    what = mutate.bluntly(path, rng)
    if name == "study.yaml" and rng.random() < 0.5 and path.is_file() and not path.is_symlink():
        source = yaml.safe_load((world / "made-study" / name).read_text())
        _write(path, _dump(mutate.changed(source, rng)))
        what = "changed"
    kept = (path,) if path.is_file() and not path.is_symlink() and os.path.getsize(path) else ()
    return Case(f"study's {name} {what}", ("report", folder), kept)


def bakeoff_folder(world: Path, place: Path, rng: Random) -> Case:
    """The files of a bake-off."""
    folder = place / "bakeoff"
    shutil.copytree(world / "made-bakeoff", folder, ignore=shutil.ignore_patterns("checkpoints"))
    path = folder / rng.choice(["report.json", "report.json", "bakeoff.yaml"])
    what = mutate.json_file(path, rng) if path.suffix == ".json" else mutate.bluntly(path, rng)
    return Case(f"bake-off's {path.name} {what}", ("report", folder), ())


Kind = Callable[[Path, Path, Random], Case]
KINDS: dict[Kind, int] = {
    config: 130, override: 40, study_file: 45, bakeoff_file: 25, table: 12, queries: 12, run_folder: 36,
    study_folder: 10, bakeoff_folder: 10,
}  # fmt: skip
"""How many of each there are among 320."""


def tried(kind: Kind, seed: int, world: Path, place: Path) -> str | None:
    """Damages something and calls a command.

    Returns:
        What is wrong with what it did; None: it said in a line what is wrong, or made something of it.
    """
    place.mkdir(parents=True)
    case = kind(world, place, Random(seed))
    before = {path: _state(path) for path in case.kept}
    try:
        answer = multitask(*case.words)
    except HungError:
        return f"{case.what}: hangs: {case.words}"
    except BaseException as error:
        return f"{case.what}: {type(error).__name__}: {error}: {case.words}"
    wrong = _wrong(answer)
    if wrong is None:
        lost = [str(path) for path, state in before.items() if _state(path) != state]
        wrong = f"changed {lost}" if lost else None
    return None if wrong is None else f"{case.what}: {wrong}: {case.words}"


def _state(path: Path) -> object:
    return digests(path) if path.is_dir() else path.read_bytes()


def _wrong(answer: Answer) -> str | None:
    if answer.code not in (0, 2):
        return f"exit code {answer.code}: {answer.error[-500:]}"
    if "Traceback" in answer.error + answer.output:
        return f"traceback: {answer.error[-1500:]}"
    lines = answer.error.strip().splitlines()
    # ``config`` prints all that is wrong, a line each; click's own words about how a command is called take three.
    each = all(line.startswith(("error: ", "and ")) for line in lines)
    if answer.code == 2 and len(lines) != 1 and not (each and lines) and not answer.error.startswith("Usage:"):
        return f"{len(lines)} lines: {answer.error[:500]}"
    if max((len(line) for line in lines), default=0) > 4000:
        return f"a line of {max(map(len, lines))} characters"
    return None
