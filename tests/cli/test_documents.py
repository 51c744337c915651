"""What the documents and the help say answers: command lines parse, files are there, keys of examples are settings."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest

import multitask
from multitask.bakeoff.settings import BakeoffSettings
from multitask.cli import COMMANDS
from multitask.cli.group import cli
from multitask.config import Config
from multitask.recipe.settings import RecipeSettings
from multitask.reporting.keys import keys_markdown
from multitask.settings import Settings, load_extensions, override, parse_override, problems
from multitask.settings.extensions import temporary_extensions
from multitask.settings.keys import sections_of
from multitask.settings.yaml_text import parse_yaml
from multitask.study.settings import StudySettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    name: ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        ".github/CONTRIBUTING.md",
        "configs/README.md",
        "studies/README.md",
        "multitask/README.md",
        "multitask/bench/README.md",
    )
}
every_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(multitask(?: [^`]*)?)`")
_PATH = re.compile(
    r"(?<![\w/.-])((?:configs|studies|multitask|tests|\.ci|\.github|\.readme)/[\w./-]*\w\.(?:yaml|py|md|png|txt)"
    r"|\.ci/\w+\b(?!\.))"
)
_LINK = re.compile(r"\]\(([^)\s]*)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_WORDS = {"N": "2", "K": "2", "S": "1", "H": "1", "F": "0.1"}
"""What stands for a number in a synopsis."""


def help_texts() -> Iterator[tuple[str, str]]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield f"multitask {name} --help", command.get_help(click.Context(command, info_name=name))


def texts() -> list[tuple[str, str]]:
    return [(name, path.read_text(encoding="utf-8")) for name, path in DOCUMENTS.items()] + list(help_texts())


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
        options = {option for param in cli.get_params(click.Context(cli)) for option in param.opts}
        assert not words or words[0] in options, f"there is no command {words[0]!r}"
        return
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    ctx = click.Context(command, info_name=words[0])
    parser = command.make_parser(ctx)
    _, left, _ = parser.parse_args(words[1:])  # an option that is not there is an error
    assert not [word for word in left if word.startswith("-")]


def test_every_command_has_a_row_on_the_front_page() -> None:
    rows = re.findall(r"^\| `multitask (\w+)", DOCUMENTS["README.md"].read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_there_are_command_lines() -> None:
    assert len(command_lines()) > 15


@every_document
def test_files_that_are_named_are_there(document: Path) -> None:
    named = {ROOT / name for name in _PATH.findall(document.read_text(encoding="utf-8"))}
    assert [str(path.relative_to(ROOT)) for path in named if "my-" not in path.name and not path.exists()] == []


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> list[str]:
    """The links within the project whose file, or whose heading, is not there."""
    dead = []
    for link in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if ":" not in name and not (target.exists() and (not anchor or anchor in anchors(target))):
            dead.append(link)
    return dead


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    assert dead_links(document) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# Two words, `here`\n[a](#two-words-here) [b](b.md) [c](a.md#three) [d](https://example.org)\n"
    )
    assert dead_links(document) == ["b.md", "a.md#three"]


def ragged_rows(text: str) -> list[str]:
    """The rows of tables that have other cells than their header."""
    ragged, num_cells = [], 0
    for line in _FENCE.sub("", text).splitlines():
        if not line.startswith("|"):
            num_cells = 0
            continue
        num = len(re.findall(r"(?<!\\)\|", line)) - 1
        num_cells = num_cells or num
        if num != num_cells or not line.endswith("|"):
            ragged.append(line)
    return ragged


@every_document
def test_tables_are_whole(document: Path) -> None:
    assert ragged_rows(document.read_text(encoding="utf-8")) == []


def test_a_ragged_table_is_seen() -> None:
    assert ragged_rows("| a | b |\n|---|---|\n| `x\\|y` | 1 |\n| 1 | 2 | 3 |\n\n| c |\n|---|\n") == ["| 1 | 2 | 3 |"]


def unknown(model: type[Settings], data: dict[str, Any]) -> list[str]:
    """The keys, and the names of variants, that settings do not have."""
    return [line for line in problems(model, data) if "unknown" in line]


def searched(space: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What each entry of a study's space would change in a config: the key, and the keys that it depends on."""
    for key, entry in space.items():
        if entry.get("kind") != "head_weights":
            values = entry.get("choices") or [entry.get("low")]
            yield from ({key: value, **entry.get("when", {})} for value in values)


def changed(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every set of changes that a study's or bake-off's file makes to its base, as dotted key -> value."""
    yield data.get("overrides", {})
    yield from searched(data.get("space", {}))
    yield from ((contender or {}).get("overrides", {}) for contender in data.get("contenders", {}).values())
    yield from ({key: value} for key, values in data.get("tune", {}).items() for value in values)


def unknown_in_example(data: dict[str, Any]) -> list[str]:
    """The keys of an example of a config, a study, a bake-off or a recipe that do not exist."""
    if "base" not in data:
        return unknown(Config, data)
    rows: dict[str, type[Settings]] = {"contenders": BakeoffSettings, "stages": RecipeSettings}
    lines = unknown(next((rows[key] for key in rows if key in data), StudySettings), data)
    for changes in changed(data):
        named = {key.replace("heads.*", "heads.any"): value for key, value in changes.items()}
        lines += unknown(Config, override(Config, {}, named))
    return lines


@every_document
def test_keys_of_examples_are_settings(document: Path, tmp_path: Path) -> None:
    blocks = _FENCE.findall(document.read_text(encoding="utf-8"))
    own = [content for language, content in blocks if language == "python" and "LOSSES[" in content]
    (tmp_path / "own.py").write_text("\n".join(own))
    with temporary_extensions():
        load_extensions([str(tmp_path / "own.py")], document.name, allowed=True)
        for language, content in blocks:
            if language == "yaml":
                assert unknown_in_example(parse_yaml(content, document.name)) == []


@pytest.mark.parametrize(
    "text",
    [
        "training: {epoch: 3}",
        "{name: a, base: b.yaml, space: {training.learning_rate: {low: 0, high: 1}}}",
        "{name: a, base: b.yaml, space: {heads.*.loss.gama: {low: 0, high: 1, when: {heads.*.loss.name: focal}}}}",
        "{name: a, base: b.yaml, space: {heads.*.loss.gamma: {low: 0, high: 1}}}",
        "{name: a, base: b.yaml, space: {heads.*.loss.name: {kind: categorical, choices: [focal, local]}}}",
        "{name: a, base: b.yaml, overrides: {data.image_sizes: 64}}",
        "{name: a, base: b.yaml, stages: [baseline, {name: folds, number: 3}]}",
        "{name: a, base: b.yaml, contenders: {x: {overrides: {joint.term.name: pair}}, y: {}}}",
        "{name: a, base: b.yaml, contenders: {x: {}, y: {}}, tune: {training.rate: [1]}}",
    ],
)
def test_a_key_that_is_no_setting_is_seen(text: str) -> None:
    assert len(unknown_in_example(parse_yaml(text, "example"))) == 1


@pytest.mark.parametrize("line", [line for line in command_lines() if "--set" in line and "key=value" not in line])
def test_keys_of_set_are_settings(line: str) -> None:
    words = shlex.split(line, comments=True)
    # Of ``[--set key=value]``, not of a list.
    words = [word if word.count("[") == word.count("]") else word.strip("[]") for word in words]
    changes = dict(parse_override(text) for option, text in pairwise(words) if option == "--set")
    assert unknown(Config, override(Config, {}, changes)) == []


@every_document
def test_names_in_python_examples_are_there(document: Path) -> None:
    for language, content in _FENCE.findall(document.read_text(encoding="utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("multitask"):
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "multitask":
                assert node.attr in multitask.__all__


def test_the_example_of_a_run_in_python_runs(
    tiny: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = DOCUMENTS["multitask/README.md"].read_text(encoding="utf-8")
    (example,) = [content for language, content in _FENCE.findall(text) if "multitask.run(" in content]
    config = tiny({"training.epochs": 1, "training.schedule.warmup_epochs": 0})
    load_config, loaded = multitask.load_config, []

    def shorter(path: Path, overrides: list[str]) -> Config:
        loaded.append(load_config(ROOT / path, overrides))
        return config  # the example's takes a minute

    monkeypatch.setattr(multitask, "load_config", shorter)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert re.fullmatch(r"0\.\d+ 0\.\d+\n", capsys.readouterr().out)
    assert loaded[0].data.source.draw is not None  # or it would need a set that is nowhere
    (of_a_run,) = [content for language, content in _FENCE.findall(text) if "multitask.predict(" in content]
    Path("data").mkdir()
    Path("data/synthetic").symlink_to(config.data.root)
    exec(compile(of_a_run, "README.md", "exec"), {"Path": Path, "multitask": multitask})
    assert 0 <= float(capsys.readouterr().out) <= 1
    assert len(Path("submission.csv").read_text().splitlines()) == 1 + 3 * 7


def unknown_in_text(text: str) -> list[str]:
    """The dotted keys of a config that a text names in code, and that do not exist."""
    sections = sections_of(Config)
    known = [section.path for section in sections] + [f"{section.path}.{section.tag}" for section in sections]
    known += [key.path for section in sections for key in section.keys]
    patterns = [re.compile(re.sub(r"<\w+>", r"[\\w<>*]+", re.escape(path))) for path in known]
    first = "|".join(Config.model_fields)
    named = set(re.findall(rf"`((?:{first})(?:\.[\w<>*]+)+)[`:=]", _FENCE.sub("", text)))
    named = {key for key in named - {"joint.macro_f1", "joint.accuracy"} if not key.endswith((".json", ".yaml"))}
    return sorted(key for key in named if not any(pattern.fullmatch(key) for pattern in patterns))


@every_document
def test_keys_in_the_text_are_settings(document: Path) -> None:
    assert unknown_in_text(document.read_text(encoding="utf-8")) == []


def test_a_key_in_the_text_that_is_no_setting_is_seen() -> None:
    text = "`data.fit` `data.fits` `heads.age.loss.gamma: 2` `heads.*.loss.gama` `heads.<head>.net` `joint.macro_f1`"
    assert unknown_in_text(text) == ["data.fits", "heads.*.loss.gama"]


def test_every_key_is_described_as_the_settings_have_it() -> None:
    text = DOCUMENTS["configs/README.md"].read_text(encoding="utf-8")
    listed = text.partition("<!-- keys -->\n")[2].partition("<!-- /keys -->")[0]
    assert listed.strip() == keys_markdown(sections_of(Config)).strip(), ".ci/keys writes them anew"


@pytest.mark.parametrize("model", [StudySettings, BakeoffSettings, RecipeSettings])
def test_every_key_of_a_study_a_bakeoff_and_a_recipe_is_explained(model: type[Settings]) -> None:
    text = DOCUMENTS["studies/README.md"].read_text(encoding="utf-8")
    examples = [parse_yaml(content, "README.md") for language, content in _FENCE.findall(text) if language == "yaml"]
    shown = {key for example in examples for key in example} | set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert set(model.model_fields) <= shown


@pytest.mark.parametrize("folder", ["configs", "studies"])
def test_every_file_that_is_shipped_is_listed(folder: str) -> None:
    listed = set(_LINK.findall((ROOT / folder / "README.md").read_text(encoding="utf-8")))
    assert {path.name for path in (ROOT / folder).glob("*.yaml")} <= listed


def test_the_front_page_is_short() -> None:
    assert len(DOCUMENTS["README.md"].read_bytes()) <= 8_000
