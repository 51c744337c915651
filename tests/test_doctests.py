"""The examples in docstrings: they run, and in the rooms named here everything public has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import multitask

ROOMS = ("multitask.labels", "multitask.losses", "multitask.balancers", "multitask.evaluation.decode")
"""A new function, class or method in one of them needs an example."""


def modules(room: str) -> Iterator[str]:
    """A room and the modules in it, by name."""
    yield room
    yield from (found.name for found in pkgutil.walk_packages(import_module(room).__path__, f"{room}."))


MODULES = [module for room in ROOMS for module in modules(room)]
PACKAGE = Path(multitask.__file__).parent
ELSEWHERE = sorted(
    {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    }
    - set(MODULES)
)
"""Other modules with examples."""


def examples(*things: object) -> str:
    """The source of the examples in docstrings."""
    docs = [inspect.cleandoc(getattr(thing, "__doc__", None) or "") for thing in things]
    return "".join(example.source for doc in docs for example in doctest.DocTestParser().get_examples(doc))


def public(module: ModuleType) -> Iterator[Callable[..., object]]:
    """The functions and classes that a module defines, not those that it imports."""
    for name, thing in vars(module).items():
        mine = getattr(thing, "__module__", None) == module.__name__ and not name.startswith("_")
        if mine and (inspect.isfunction(thing) or inspect.isclass(thing)):
            yield thing


def methods(cls: type) -> dict[str, object]:
    """The methods and properties that a class defines itself."""
    kinds = (classmethod, staticmethod, property)
    found = {name: thing for name, thing in vars(cls).items() if not name.startswith("_")}
    return {name: thing for name, thing in found.items() if inspect.isfunction(thing) or isinstance(thing, kinds)}


def without_example(module: ModuleType) -> Iterator[str]:
    """What is public in a module and has no example.

    A method may be called in the example of its class instead, or of a class above that declares it too; ``forward`` is
    what calls the module itself.
    """
    for thing in public(module):
        if not inspect.isclass(thing):
            if not examples(thing):
                yield thing.__name__
            continue
        if not examples(thing, *methods(thing).values()):
            yield thing.__name__
        for name in methods(thing).keys() - {"forward"}:
            declaring = [cls for cls in thing.__mro__ if name in vars(cls)]
            shown = examples(*(place for cls in declaring for place in (cls, *methods(cls).values())))
            if f".{name}" not in shown:
                yield f"{thing.__name__}.{name}"


@pytest.mark.parametrize("name", [*MODULES, *ELSEWHERE])
def test_examples_run(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    if name in ELSEWHERE:
        assert result.attempted


@pytest.mark.parametrize("name", MODULES)
def test_whatever_is_public_has_an_example(name: str) -> None:
    assert not sorted(without_example(import_module(name)))


def test_what_has_no_example_is_named() -> None:
    module = ModuleType("made")
    code = '''
def shown():
    """>>> shown()"""

def bare():
    """Says much, shows nothing."""

class Whole:
    """>>> Whole().used()"""
    def used(self): ...
    def unused(self): ...

class Part(Whole):
    """>>> Part()"""
    def used(self): ...
    def new(self): ...
'''
    exec(code, vars(module))
    for thing in list(vars(module).values()):
        if callable(thing):
            thing.__module__ = "made"
    assert sorted(without_example(module)) == ["Part.new", "Whole.unused", "bare"]
