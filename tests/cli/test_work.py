"""Commands that work for long say at once that they began."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Called

Call = Callable[..., Called]


@pytest.mark.parametrize("command", ["train", "study", "bakeoff", "recipe"])
def test_it_is_said_before_the_file_is_read(command: str, call: Call, tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"
    done = call(command, absent)
    assert done.out == f"reading {absent}, loading PyTorch\n"
    assert done.refusal().endswith("no such file")
    assert call(command, absent, "--quiet").out == ""


@pytest.mark.parametrize("command", ["train", "study", "bakeoff", "recipe"])
def test_it_is_said_before_what_checks_the_file_is_imported(command: str) -> None:
    code = """
import os, sys
before = set(sys.modules)
import click
from multitask.cli import main
def echo(text):
    names = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(text, sorted(names - sys.stdlib_module_names), flush=True)
    os._exit(0)
click.echo = echo
sys.argv = ["multitask", sys.argv[1], "absent.yaml"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True)
    assert done.stdout == "reading absent.yaml, loading PyTorch ['click', 'multitask']\n", done.stderr
