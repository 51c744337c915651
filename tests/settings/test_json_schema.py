"""The JSON schema allows what the settings allow, and underlines what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from jsonschema import Draft202012Validator

from multitask.config import Config
from multitask.losses import LOSSES
from multitask.losses.classwise import PlainSettings
from multitask.settings import override, validate
from multitask.settings.json_schema import json_schema
from multitask.settings.tables import tables_saved
from multitask.settings.yaml_text import read_yaml
from multitask.study.settings import StudySettings

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "configs/schema.json"
FILES = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted((ROOT / "studies").glob("*.yaml"))]
DEMO = read_yaml(ROOT / "configs/demo.yaml")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def errors(validator: Draft202012Validator, data: dict[str, Any]) -> list[str]:
    return [error.json_path for error in validator.iter_errors(json.loads(json.dumps(data)))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_files_name_it_and_are_right(validator: Draft202012Validator, file: Path) -> None:
    line = file.read_text().partition("\n")[0]
    assert line.startswith("# yaml-language-server: $schema=")
    assert (file.parent / line.partition("=")[2]).resolve() == SCHEMA
    assert errors(validator, read_yaml(file)) == []


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("sed", 1, "$"),
        ("training.lerning_rate", 1, "$.training"),
        ("training.epochs", "many", "$.training.epochs"),
        ("training.epochs", 0, "$.training.epochs"),
        ("heads.age.loss", "focall", "$.heads.age.loss"),
        ("heads.age.loss", {"name": "focall"}, "$.heads.age.loss.name"),
        ("heads.age.loss", {"name": "focal", "gama": 1}, "$.heads.age.loss"),
        ("heads.age.loss", {"gamma": 1}, "$.heads.age.loss"),  # of the default, which has none
        ("data.image_size", [64], "$.data.image_size"),
    ],
)
def test_what_is_wrong_is_underlined(validator: Draft202012Validator, key: str, value: object, place: str) -> None:
    data = json.loads(json.dumps(DEMO))
    *parents, last = key.split(".")
    section = data
    for parent in parents:
        section = section.setdefault(parent, {})
    section[last] = value
    assert place in errors(validator, data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.image_size", 64),
        ("heads.age.loss", "focal"),
        ("heads.age.loss", {"name": "focal", "gamma": 1}),
        ("joint", None),
    ],
)
def test_every_way_to_write_a_setting_is_right(validator: Draft202012Validator, key: str, value: object) -> None:
    data = override(Config, DEMO, {key: value})
    validate(Config, data, ROOT / "configs")
    assert errors(validator, data) == []


def test_one_objective_needs_no_list(validator: Draft202012Validator) -> None:
    study = read_yaml(ROOT / "studies/demo.yaml")
    assert isinstance(study["objective"], str)
    several = {**study, "objective": ["joint.macro_f1", "joint.loss"], "pruner": None}
    assert errors(validator, several) == []
    assert errors(validator, {**study, "objective": 3}) == ["$.objective"]


def test_keys_have_their_docstrings() -> None:
    definitions = json_schema(Config)["$defs"]
    seed = definitions["config"]["properties"]["seed"]
    assert seed["description"] == seed["markdownDescription"] == "The seed that every random choice derives from."
    assert definitions["data"]["description"].startswith("The data section")
    assert definitions["data"]["markdownDescription"].startswith("The `data` section")
    patience = definitions["training"]["properties"]["patience"]
    assert ("null: " in patience["description"], "`null`: " in patience["markdownDescription"]) == (True, True)


def test_no_description_is_in_the_words_of_python() -> None:
    texts = re.findall(r'"(?:markdownD|d)escription": "((?:[^"\\]|\\.)*)"', SCHEMA.read_text())
    assert len(texts) > 500
    assert [text for text in texts if "``" in text or re.search(r"\bNone\b", text)] == []


def test_definitions_are_called_by_their_place_in_a_file(validator: Draft202012Validator) -> None:
    names = list(validator.schema["$defs"])
    assert names == sorted(names)
    assert {"config", "training", "data.source.table", "data.source.table.tasks", "heads.loss.focal"} <= set(names)
    assert {"study", "study.budget", "bakeoff", "bakeoff.budget", "recipe", "recipe.stages.crop"} <= set(names)
    pattern = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"
    assert [name for name in names if not re.fullmatch(pattern, name)] == [], "of no class and of no module"
    references = set(re.findall(r'"\$ref": "([^"]+)"', SCHEMA.read_text()))
    assert references == {f"#/$defs/{name}" for name in names}


def test_a_row_of_ones_own_is_in_it() -> None:
    class MineSettings(PlainSettings):
        name: Literal["mine"] = "mine"

        def per_class(self, log_probs: torch.Tensor) -> torch.Tensor:
            return -log_probs

    restore = tables_saved()
    try:
        LOSSES["mine"] = MineSettings
        mine = Draft202012Validator(json_schema(Config, {"space": StudySettings}))
    finally:
        restore()
    data = json.loads(json.dumps(DEMO))
    data.setdefault("heads", {})["age"] = {"loss": "mine"}
    assert errors(mine, data) == []
