"""Completion, as shells ask for it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.cli.completion import _SHELLS, _Bash
from multitask.cli.group import cli
from tests.cli.conftest import Called

Call = Callable[..., Called]
CONFIG = "labels: {tasks: {hue: {classes: [red, blue]}}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a config, a study and a run, which is the working folder too."""
    for name in ("HOME", "ZDOTDIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(CONFIG)
    (tmp_path / "study.yaml").write_text("base: mine.yaml\n")
    for name in ("runs/first", "runs/part", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/first/config.yaml").write_text(CONFIG)
    for kind in ("study", "bakeoff", "recipe"):
        (tmp_path / "runs" / f"a-{kind}").mkdir()
        (tmp_path / "runs" / f"a-{kind}" / f"{kind}.yaml").write_text("name: x\n")
    return tmp_path


def ask(line: str, monkeypatch: pytest.MonkeyPatch, breaks: str = " =:") -> list[str]:
    """What bash is answered."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORDBREAKS", breaks)
    return _Bash(cli, {}, "multitask", "_MULTITASK_COMPLETE").complete().splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("multitask eval", ["plain,evaluate"]),
        ("multitask train mine.yaml --res", ["plain,--resume"]),
        ("multitask train mine.yaml --set heads.", ["plain,heads.hue."]),
        ("multitask study study.yaml --set heads.", ["plain,heads.hue."]),
        ("multitask train absent.yaml --set heads.", []),
        ("multitask train mine.yaml --set 'heads.hue.loss=foc", []),
        ("multitask train mine.yaml --set heads.hue.loss=foc", ["plain,focal"]),
        ("multitask train mine.yaml --set heads.hue.loss=", None),
        ("multitask evaluate ", ["plain,runs/"]),
        ("multitask evaluate runs/", ["plain,runs/first"]),
        ("multitask report runs/", [f"plain,runs/{name}" for name in ("a-bakeoff", "a-recipe", "a-study", "first")]),
        ("multitask report ru", ["plain,runs/"]),
        ("multitask compare runs/first runs/f", ["plain,runs/first"]),
        ("multitask predict other/", ["file,other/"]),
        ("multitask eda mine.yaml --run runs/", ["plain,runs/first"]),
        ("multitask study study.yaml --executor ", ["plain,processes", "plain,submitit", "plain,ray"]),
        ("multitask bakeoff mine.yaml --executor r", ["plain,ray"]),
        ("multitask predict runs/first --engine a", ["plain,auto"]),
        ("multitask evaluate runs/first --engine o", ["plain,onnxruntime", "plain,openvino"]),
        ("multitask predict runs/first --views flip,s", ["plain,flip,shift", "plain,flip,scale"]),
        ("multitask bakeoff mine.yaml --executor nothing", []),
    ],
)
def test_what_a_line_goes_on_with(
    line: str, found: list[str] | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = ask(line, monkeypatch)
    assert answered == found if found is not None else "plain,focal" in answered


def test_where_bash_does_not_break_words_the_whole_is_answered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("multitask train mine.yaml --set data.fit=p", monkeypatch, " ") == ["plain,data.fit=pad"]


def test_scripts_are_installed_once_and_beside_what_was_there(home: Path, call: Call) -> None:
    (home / ".bashrc").write_text("alias x=y")
    for _ in range(2):
        for shell in _SHELLS:
            assert call("--install-completion", shell).code == 0
    alias, line = (home / ".bashrc").read_text().splitlines()
    assert alias == "alias x=y"
    assert line.endswith(f"source {home}/.local/share/multitask/completion.bash")
    assert len((home / ".zshrc").read_text().splitlines()) == 1
    assert (home / ".config/fish/completions/multitask.fish").is_file()


def test_the_shell_that_runs_is_meant_unless_one_is_named(
    home: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert "completion for zsh is in" in call("--install-completion").out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert call("--install-completion").refusal() == ("--install-completion: must be of bash, zsh, fish, found 'tcsh'")


def test_bash_itself_completes(home: Path, call: Call) -> None:
    call("--install-completion", "bash")
    line = "multitask train mine.yaml --set heads.hue.loss=foc"
    script = (
        f"source .bashrc; COMP_LINE='{line}'; COMP_POINT={len(line)}; _multitask_completion multitask; echo $COMPREPLY"
    )
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "focal", done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_are_of_the_shells_own_grammar(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    text = _SHELLS[shell](cli, {}, "multitask", "_MULTITASK_COMPLETE").source()
    checked = subprocess.run([program, "-n"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
