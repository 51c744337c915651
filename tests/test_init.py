"""The package's public names: each is offered, none is imported before it is asked for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import multitask

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "multitask"
PUBLIC = [name for name in multitask.__all__ if name != "__version__"]


def fresh(code: str) -> object:
    """What a fresh process prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_the_package_imports_the_standard_library_alone() -> None:
    before = "import sys, json; before = set(sys.modules)"
    code = f"{before}; import multitask; print(json.dumps(sorted(set(sys.modules) - before)))"
    imported = fresh(code)
    assert isinstance(imported, list)
    assert [name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names] == ["multitask"]


def test_a_name_is_offered_without_being_imported() -> None:
    code = "import sys, json, multitask; print(json.dumps([dir(multitask), 'multitask.labels' in sys.modules]))"
    names, imported = fresh(code)  # type: ignore[misc]
    assert set(multitask.__all__) <= set(names)
    assert not imported


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_the_one_of_its_module(name: str) -> None:
    module, attribute = multitask._HOMES[name]
    assert getattr(multitask, name) is getattr(import_module(module), attribute)
    assert getattr(multitask, name).__doc__


def test_the_table_is_whole_and_type_checkers_see_the_same() -> None:
    assert sorted(PUBLIC) == sorted(multitask._HOMES)
    assert sorted(multitask.__all__) == multitask.__all__
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == multitask._HOMES


def test_no_module_stands_where_a_public_name_does() -> None:
    """Importing ``multitask.run`` would put the module in the function's place."""
    entries = {path.stem for path in PACKAGE.iterdir()}
    assert not entries & set(PUBLIC)


def test_a_name_that_is_not_there_is_an_attribute_error_and_modules_are_still_found() -> None:
    with pytest.raises(AttributeError, match="'multitask' has no attribute 'Predictors'"):
        _ = multitask.Predictors
    from multitask import labels

    assert labels.LabelSpace is multitask.LabelSpace


def test_the_package_itself_imports_from_modules() -> None:
    """A public name would hide from the order of the rooms where it comes from."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "multitask":
                assert not {alias.name for alias in node.names} & set(PUBLIC), path


def test_the_version_is_the_one_that_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == multitask.__version__
    assert (PACKAGE / "py.typed").exists()
