"""The order of the rooms: which there are, what each is for, and that imports point down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "multitask"
README = PACKAGE / "README.md"

ORDER: tuple[dict[str, str], ...] = (
    {"errors": "`UserError`, the one line that a user's mistake becomes"},
    {"utils": "whole files, folders of one launch, its processes, records, shared arrays, strings, seeds, spellings"},
    {
        "progress": "callbacks on the progress of a run, a study, a bake-off and a recipe",
        "settings": "strict settings, open tables of variants, extensions, overrides, YAML",
    },
    {"executors": "what starts workers: processes, SLURM (submitit), Ray; the pool of those that connect back"},
    {"labels": "`Task` and `LabelSpace`: class <-> labels, joint and marginal probabilities, impossible cells"},
    {
        "data": "`sources/` (one per layout), samples, corrections, splits, samplers, images, crops, loading, `eda/`",
        "losses": "a loss per head, class weights, what training labels imply",
        "balancers": "how the losses become one backward step",
    },
    {
        "model": "backbone (timm), `heads/`, how tasks share it, the joint term, ensembles",
        "evaluation": "predictions, `decode/` (rules), metrics, intervals, attribution, label issues, the report",
    },
    {
        "tracking": "trackers, which runs tell their scores: CSV, TensorBoard, MLflow, Weights & Biases",
        "training": "the one loop, optimisers and schedules, checkpoints, devices",
        "reporting": "console, text, SVG and pages; `run/`, `audit/`, `study/`, `bakeoff/`, ... the same of theirs",
    },
    {"config": "`Config`: every component's section in one file, checked whole; `load_config`"},
    {"runs": "one run, whole: `run`, its data, networks and losses built, folds, evaluation, the run folder"},
    {"inference": "a run put to use: `Predictor`, `engines/`, predictions of any images, `export/` to ONNX"},
    {
        "audit": "label audits of runs in folds, and what corrections bring",
        "bakeoff": "contenders on equal terms: plan, runs, costs, conclusions",
        "init": "a config proposed for images that nobody has described; `layouts/`, one per way to store labels",
        "pseudo": "labels of unlabelled images, from the heads that are sure; in rounds",
        "study": "Optuna: space, samplers, pruners, storage, workers, confirmation; nothing before it imports optuna",
    },
    {"recipe": "stages that better a config, each kept only where it gains on groups that picked nothing"},
    {
        "bench": "speed, as ratios measured side by side",
        "testing": "contract suites that can be run over a row of one's own",
    },
    {"cli": "one file per command, imported only when it is called"},
)
"""Lowest first: a room imports only from rows above its own."""

FLOORS = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}


def imports(path: Path) -> Iterator[str]:
    """The modules of this package that a file imports, also within functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] == PACKAGE.name:
            inside = node.module != PACKAGE.name
            yield from [node.module] if inside else [f"{PACKAGE.name}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names if alias.name.startswith(f"{PACKAGE.name}.")]


def room_of(module: str) -> str:
    return module.split(".")[1]


def files() -> dict[str, list[Path]]:
    """The files of each room."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):
            found.setdefault(room, []).append(path)
    return found


def test_the_list_of_rooms_is_whole() -> None:
    assert set(files()) == set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_from_rooms_below(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files()[room]
        for module in imports(path)
        if room_of(module) != room and FLOORS.get(room_of(module), -1) >= FLOORS[room]
    ]
    assert not wrong


def test_an_import_that_points_the_wrong_way_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("def later() -> None:\n    from multitask.cli import main\n    import multitask.study.space\n")
    assert list(imports(path)) == ["multitask.cli", "multitask.study.space"]
    path.write_text("from multitask import runs\n")
    assert list(imports(path)) == ["multitask.runs"]


def rooms_text() -> str:
    """The list of rooms as the README has it."""
    rows = [f"| `{room}` | {what} |" for rooms in ORDER for room, what in rooms.items()]
    return "\n".join(["| room | what is in it |", "|---|---|", *rows])


def test_the_readme_lists_the_rooms_in_this_order() -> None:
    assert rooms_text() in README.read_text(encoding="utf-8")
