"""Every command that reads a settings file says of a file for another one which that is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.bakeoff.plan import load_bakeoff
from multitask.bakeoff.settings import read_bakeoff
from multitask.config import load_config
from multitask.config.file_kinds import BAKEOFF, CONFIG, RECIPE, STUDY, FileKind
from multitask.errors import UserError
from multitask.recipe.settings import load_recipe
from multitask.study.settings import load_study

READERS: dict[Callable[[Path], object], tuple[FileKind, ...]] = {
    load_config: (CONFIG,),
    load_study: (STUDY,),
    read_bakeoff: (BAKEOFF,),
    load_recipe: (CONFIG, RECIPE),
}
FILES = {
    CONFIG: "labels: {tasks: {hand: {classes: [left, right]}}}",
    STUDY: "name: s\nbase: base.yaml\nbudget: {trials: 1}\nspace: {training.lr: {low: 0.1, high: 0.2}}",
    BAKEOFF: "name: b\nbase: base.yaml\ncontenders: {one: {}, other: {}}",
    RECIPE: "name: r\nbase: base.yaml\nbudget: 1h\nstages: [baseline, folds]",
}


def refusal(reader: Callable[[Path], object], file: Path) -> str:
    try:
        reader(file)
    except UserError as error:  # of a file of its own kind, since the base is not there
        return str(error)
    return ""


@pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_file_for_another_command_is_told(reader: Callable[[Path], object], kind: FileKind, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(FILES[kind] + "\n")
    line = f"{file}: is {kind.name}, as it has {kind.key}; use `multitask {kind.command}`"
    assert (refusal(reader, file) == line) == (kind not in READERS[reader])


def test_a_base_is_a_run_config(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(FILES[STUDY] + "\n")
    (tmp_path / "study.yaml").write_text(FILES[STUDY] + "\n")
    with pytest.raises(UserError, match=r"base\.yaml: is a study, as it has space; use `multitask study`$"):
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("reader", "kind", "change"),
    [
        (load_study, STUDY, "budget.trials=3"),
        (load_study, STUDY, "workers=2"),
        (load_bakeoff, BAKEOFF, "seeds=2"),
        (load_recipe, RECIPE, "stages=[folds]"),
        (load_recipe, CONFIG, "stages=[folds]"),
    ],
)
def test_set_of_a_files_own_key_says_whose_it_is(
    reader: Callable[..., object], kind: FileKind, change: str, tmp_path: Path
) -> None:
    (tmp_path / "base.yaml").write_text(FILES[CONFIG] + "\n")
    (tmp_path / "file.yaml").write_text(FILES[kind] + "\n")
    command = (RECIPE if kind is CONFIG else kind).command
    with pytest.raises(UserError, match=rf"^--set {change.split('=')[0]}: .* by an option of `multitask {command}`$"):
        reader(tmp_path / "file.yaml", [change])
