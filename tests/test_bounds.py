"""Every numeric setting has a lower and an upper bound: what is beyond can only be a mistake."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from multitask.bakeoff.settings import BakeoffSettings
from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.cross_validation import fold_configs
from multitask.settings import Settings, Table, problems
from multitask.study.settings import StudySettings

SEEDS = ("seed", "split_seed", "seeds[]")
OF_A_SPACE = ("when.*", "when.*[]", "choices[]", "low", "high")
"""Values of other settings, which have bounds of their own."""

Found = tuple[str, type, list[float], list[float]]


def numbers(annotation: Any, metadata: list[Any], path: str, seen: set[type]) -> Iterator[Found]:
    """Every number that a model takes: where, its type, its lower and its upper bounds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        parts = [part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
        yield from numbers(inner, [*metadata, *parts], path, seen)
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from numbers(member, metadata, path, seen)
    elif origin in (list, tuple):
        for member in set(get_args(annotation)) - {Ellipsis}:
            yield from numbers(member, [], f"{path}[]", seen)
    elif origin is dict:
        yield from numbers(get_args(annotation)[1], [], f"{path}.*", seen)
    elif tables := [item for item in metadata if isinstance(item, Table)]:
        for row in tables[0].values():
            yield from numbers(row, [], path, seen)
    elif isinstance(annotation, type) and issubclass(annotation, Settings) and annotation not in seen:
        seen.add(annotation)
        for name, field in annotation.model_fields.items():
            yield from numbers(field.annotation, field.metadata, f"{annotation.__name__}.{name}", seen)
    elif annotation in (int, float):
        low = [float(getattr(item, "ge", None) or getattr(item, "gt", 0)) for item in metadata if is_low(item)]
        high = [float(getattr(item, "le", None) or getattr(item, "lt", 0)) for item in metadata if is_high(item)]
        yield path, annotation, low, high


def is_low(item: Any) -> bool:
    return isinstance(item, (annotated_types.Ge, annotated_types.Gt))


def is_high(item: Any) -> bool:
    return isinstance(item, (annotated_types.Le, annotated_types.Lt))


ALL = [found for model in (Config, StudySettings, BakeoffSettings) for found in numbers(model, [], "", set())]


def test_the_walk_finds_what_it_should() -> None:
    names = {path for path, *_ in ALL}
    assert {
        "TrainingSettings.lr",
        "DataSettings.workers",
        "BakeoffSettings.seeds[]",
        "HeartbeatSettings.grace_s",
    } < names
    assert len(names) > 100


@pytest.mark.parametrize("found", ALL, ids=lambda found: found[0])
def test_every_number_has_bounds(found: Found) -> None:
    path, kind, low, high = found
    assert low, f"{path} has no lower bound"
    assert high, f"{path} has no upper bound"
    name = path.partition(".")[2]
    if kind is int and name not in (*SEEDS, *OF_A_SPACE):
        assert min(high) <= 1e9, f"{path} is bounded by no more than its type"


CONFIG = {
    "labels": {"tasks": {"a": {"classes": ["x", "y"]}, "b": {"classes": ["x", "y"]}}},
    "data": {"root": "/", "source": {"name": "folders", "pattern": "{a}_{b}"}},
}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("data", "workers", 100_000),
        ("data", "image_size", [128, 1_000_000]),
        ("data", "folds", 1_000_000),
        ("training", "epochs", 10**9),
        ("training", "batch_size", 10**9),
        ("training", "accumulate", 10**9),
        ("training", "lr", 1e300),
        ("", "seed", 2**63),
    ],
)
def test_what_can_mean_nothing_is_refused_by_its_name(section: str, key: str, value: object) -> None:
    data: dict[str, Any] = {**CONFIG}
    if section:
        data[section] = {**data.get(section, {}), key: value}
    else:
        data[key] = value
    (line,) = problems(Config, data)
    assert line.startswith(f"{section}.{key}" if section else key)
    assert "less than or equal to" in line


def test_a_seed_may_be_as_large_as_a_word() -> None:
    assert not problems(Config, {**CONFIG, "seed": 2**63 - 1})


def test_folds_beyond_any_meaning_are_refused_before_they_are_listed() -> None:
    config = Config.model_validate(CONFIG)
    with pytest.raises(UserError, match="--folds: must be at most 1000, found 10000000000"):
        fold_configs(config, 10**10)
