"""What can be wrong without a network is said before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = ("torch", "torchvision", "timm", "albumentations", "cv2", "optuna", "pandas", "pyarrow", "matplotlib", "scipy")

_RUN = """
import contextlib, io, json, sys
from pathlib import Path
from multitask.cli import main
heavy, lines = json.loads(sys.argv[1])
answers = []
for words in lines:
    sys.argv = ["multitask", *words]
    errors = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    answers.append([code, [name for name in heavy if name in sys.modules]])
print(json.dumps(answers))
"""


def run_lines(lines: list[list[str]], folder: Path) -> list[tuple[int, list[str]]]:
    """Exit code of each line, and what of ``HEAVY`` is imported after it; all in one process that is fresh before."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps([HEAVY, lines])], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return [(code, found) for code, found in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.parametrize(
    "module",
    [
        "multitask",
        "multitask.cli",
        "multitask.config",
        "multitask.settings",
        "multitask.labels",
        "multitask.study.settings",
        "multitask.bakeoff.plan",
        "multitask.recipe.settings",
        "multitask.reporting.console",
    ],
)
def test_what_a_config_is_checked_by_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_help_imports_no_library_but_click() -> None:
    code = """
import contextlib, io, sys
before = set(sys.modules)
from multitask.cli import main
sys.argv = ["multitask", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(names - sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "['click', 'multitask']", done.stderr


def test_config_and_wrong_lines_import_nothing_heavy(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "configs" / "demo.yaml").read_text() + "\nnot_a_key: 1\n")
    weights = tmp_path / "weights.pth"
    weights.touch()  # which a check does not read
    shipped = sorted((ROOT / "configs").glob("*.yaml"))
    (held := tmp_path / "held").mkdir()
    (held / "config.yaml").touch()
    lines = [
        ["--help"],
        ["config", "--keys"],
        *[["config", str(file), "--set", f"model.backbone.weights={weights}"] for file in shipped],
        ["config", str(shipped[0]), "--set", "model.backbone.name=vit_tiny_patch16_224.augreg_in21k"],
        ["config", str(shipped[0]), "--set", "training.optimizer.name=lamb"],
        ["config", str(wrong)],
        ["config", "nothere.yaml"],
        ["train", "nothere.yaml"],
        ["train", str(wrong)],
        ["train", str(shipped[0]), "--set", "training.epochs=0"],
        ["train", str(ROOT / "configs" / "demo.yaml"), "--out", str(held)],
        ["train", str(ROOT / "configs" / "demo.yaml"), "--out", str(held), "--folds", "2"],
        ["init", "nothere"],
        ["init", ".", "-o", "there.txt"],
        ["eda", "nothere.yaml", "--out", "x.html"],
        ["study", "nothere.yaml"],
        ["study", str(wrong)],
        ["bakeoff", "nothere.yaml"],
        ["recipe", "nothere.yaml"],
        ["bakeoff", str(wrong)],
        ["runs", "nothere"],
        ["report", "nothere"],
        ["evaluate", "nothere"],
        ["predict", "nothere", "--data", ".", "-o", "answers.csv"],
        ["predict", "nothere", ".", "-o", "answers.csv"],
        ["predict", str(tmp_path), ".", "-o", "answers.xls"],
        ["predict", str(tmp_path), "nothere.png", "-o", "answers.csv"],
        ["predict", str(tmp_path), str(wrong), "-o", "answers.csv"],
        ["explain", "nothere", "image.jpg", "-o", "why.html"],
        ["explain", "nothere", "-o", "why.html"],
        ["serve", "nothere"],
        ["final", "nothere", "-o", "out"],
        ["ensemble", "nothere", "northere", "-o", "out"],
        ["export", "nothere", "-o", "a.onnx"],
        ["export", "nothere", "-o", "a.bin"],
        ["compare", "nothere", "northere"],
        ["audit", "nothere"],
        ["audit", "nothere", "--apply"],
        ["pseudo", "nothere", "--data", ".", "-o", "labels.csv"],
        ["pseudo", "nothere", "--data", ".", "-o", "labels.csv", "--precision", "2"],
        ["cache", "nothere.yaml"],
        ["bench", "nothere.yaml"],
    ]
    answers = run_lines(lines, tmp_path)
    for words, (code, heavy) in zip(lines, answers, strict=True):
        right = words[0] == "--help" or (words[0] == "config" and words[1] not in (str(wrong), "nothere.yaml"))
        assert code == (0 if right else 2), words
        assert heavy == [], words
