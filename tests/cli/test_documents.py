"""What the documents and the help say answers: command lines parse, files are there, keys of examples are settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from multitask.bakeoff.settings import BakeoffSettings
from multitask.cli import COMMANDS
from multitask.cli.group import cli
from multitask.config import Config
from multitask.settings.schema import problems
from multitask.settings.yaml_text import parse_yaml
from multitask.study.settings import StudySettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path for path in (ROOT / "README.md", ROOT / "configs/README.md", ROOT / "studies/README.md") if path.exists()
]
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(multitask(?: [^`]*)?)`")
_PATH = re.compile(
    r"(?<![\w/.-])((?:configs|studies|multitask|tests|\.ci|\.readme)/[\w./-]*\w\.(?:yaml|py|md|png|txt))"
)
_WORDS = {"N": "2", "K": "2", "S": "1", "H": "1", "F": "0.1"}
"""What stands for a number in a synopsis."""


def help_texts() -> Iterator[tuple[str, str]]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield f"multitask {name} --help", command.get_help(click.Context(command, info_name=name))


def texts() -> list[tuple[str, str]]:
    return [(path.name, path.read_text(encoding="utf-8")) for path in DOCUMENTS] + list(help_texts())


def command_lines() -> list[str]:
    """Every command line of ours, as words a shell would pass on; of a choice in a synopsis the first."""
    lines = []
    for _, text in texts():
        for _, content in _FENCE.findall(text):
            lines += [part for line in content.splitlines() for part in line.split("&&") if "multitask " in part]
        lines += _INLINE.findall(_FENCE.sub("", text))
    found = {line.strip() for line in lines if line.strip().startswith("multitask ")}
    return sorted(re.sub(r"\\?\|[^\]\s]*", "", line) for line in found)


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_parses(line: str) -> None:
    words = [word.strip("[]") for word in shlex.split(line, comments=True)[1:]]
    words = [_WORDS.get(word, word) for word in words if word.strip(".")]
    if not words or words[0].startswith("-") or words[0] not in COMMANDS:
        assert words[:1] in ([], ["--help"], ["--version"], ["-h"]), f"there is no command {words[0]!r}"
        return
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    ctx = click.Context(command, info_name=words[0])
    parser = command.make_parser(ctx)
    _, left, _ = parser.parse_args(words[1:])  # an option that is not there is an error
    assert not [word for word in left if word.startswith("-")]


def test_there_are_command_lines() -> None:
    assert len(command_lines()) > 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {ROOT / name for name in _PATH.findall(text)}
    named |= {document.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)}
    assert [str(path.relative_to(ROOT)) for path in named if "my-" not in path.name and not path.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_keys_of_examples_are_settings(document: Path) -> None:
    for language, content in _FENCE.findall(document.read_text(encoding="utf-8")):
        if language != "yaml":
            continue
        data: Any = parse_yaml(content, document.name)
        if not isinstance(data, dict):
            continue
        model = BakeoffSettings if "contenders" in data else StudySettings if "base" in data else Config
        assert [line for line in problems(model, data) if "unknown" in line] == []


def test_counts_in_words_are_those_of_the_folder() -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "studies").glob("*.yaml")]
    bakeoffs = sum(re.search(r"^contenders:", text, re.MULTILINE) is not None for text in files)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ships = re.findall(r"ships (\w+)", text)
    assert sorted(ships) == sorted([NUMBERS[bakeoffs - 1], NUMBERS[len(files) - bakeoffs - 1]])
