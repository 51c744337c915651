from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def constraints(name: str) -> dict[str, Version]:
    """The versions that a constraints file pins, by the package's canonical name."""
    lines = (ROOT / ".ci" / name).read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): Version(next(iter(one.specifier)).version) for one in pinned}


@pytest.fixture(scope="module")
def declared() -> dict[str, Requirement]:
    """What the project and its tests need, by the package's canonical name."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    of_tests = [name for name in extras if name != "lint"]
    lines = [*project["dependencies"], *(line for name in of_tests for line in extras[name])]
    needed = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in needed if one.name != "multitask"}


def test_the_oldest_set_is_every_lower_bound(declared: dict[str, Requirement]) -> None:
    lower = {
        name: Version(next(part.version for part in needed.specifier if part.operator in (">=", "==")))
        for name, needed in declared.items()
    }
    assert constraints("oldest.txt") == lower


@pytest.mark.parametrize("name", ["gate.txt", "newest.txt"])
def test_torch_and_torchvision_are_pinned_within_the_bounds(declared: dict[str, Requirement], name: str) -> None:
    pinned = constraints(name)
    assert set(pinned) == {"torch", "torchvision"}
    assert all(declared[package].specifier.contains(version) for package, version in pinned.items())
