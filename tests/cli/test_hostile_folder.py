"""A file in the working folder that is called as a library changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("yaml", "random", "tempfile", "signal", "click", "numpy", "json", "socket", "pickle", "pydantic")

_CHILD = """
import contextlib, multiprocessing, sys
from multitask.cli import main
if __name__ == "__main__":
    sys.argv = ["multitask", "--help"]
    with contextlib.suppress(SystemExit):
        main()
    for method in ("spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=print, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of modules that leave a mark when they are imported."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in NAMES:
        code = f"open({str(tmp_path / 'mark')!r}, 'a').write('{name} ')\nraise ImportError('the wrong {name}')\n"
        (folder / f"{name}.py").write_text(code)
    return folder


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return {**inherited, "PYTHONPATH": str(ROOT)}


def test_neither_the_program_nor_a_child_of_a_library_imports_from_the_folder(hostile: Path, tmp_path: Path) -> None:
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(_CHILD)
    done = subprocess.run([sys.executable, script], cwd=hostile, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()
    assert done.stdout.endswith("spawn\nforkserver\n")


def test_python_m_multitask_imports_nothing_from_the_folder(hostile: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "multitask", "config", str(ROOT / "configs" / "demo.yaml")]
    done = subprocess.run(words, cwd=hostile, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()
    # From a checkout that is not installed it must still be found.
    inherited = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run([*words[:3], "--version"], cwd=ROOT, env=inherited, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
