"""The contract of the entries of a study's space."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler

from multitask.config import Config
from multitask.errors import UserError
from multitask.settings import Changes, flatten, override, validate
from multitask.study import Entry
from multitask.study.parameters import BaseValues, same
from multitask.study.per_trial import quieten
from multitask.testing.expect import expect

FOREIGN: tuple[object, ...] = ("\N{SNOWMAN}", {}, [], {"a": 1})
"""What nobody tries."""


def base_values(config: Config) -> BaseValues:
    """What a space reads of a config."""
    return BaseValues(flatten(config.model_dump(mode="json")), tuple(config.heads))


def _expect_config(entry: Entry, changes: Changes, config: Config, what: str) -> None:
    expect(changes, entry, f"change something of the config by {what}")
    try:
        validate(Config, override(Config, config.model_dump(mode="json"), changes))
    except UserError as error:
        raise AssertionError(f"{type(entry).__name__} must make a config that is right of {what}: {error}") from None


def parameters_have_names_of_their_own_and_a_distribution(entry: Entry, path: str, config: Config) -> None:
    """By which Optuna keeps them."""
    names = entry.names(path, base_values(config))
    expect(names, entry, "name its parameters")
    expect(len(set(names)) == len(names), entry, f"name each of its parameters once, not {names}")
    found = entry.distribution()
    expect(isinstance(found, BaseDistribution), entry, f"give a distribution of Optuna, not {type(found).__name__}")


def ends_are_in_its_range_and_make_configs(entry: Entry, path: str, config: Config) -> None:
    """They stand for all values when a study is checked."""
    base = base_values(config)
    expect(len(entry.ends()) >= 2, entry, "give two ends or more")
    for end in entry.ends():
        expect(entry.contains(end), entry, f"contain its end {end!r}")
        values = (end,) * len(entry.names(path, base))
        _expect_config(entry, entry.changes(path, values, base), config, f"its end {end!r}")


def drawn_values_are_in_its_range_and_make_configs(entry: Entry, path: str, config: Config) -> None:
    """And Optuna keeps of each the distribution that the entry says."""
    base = base_values(config)
    quieten()
    study = optuna.create_study(sampler=RandomSampler(0))
    for _ in range(12):
        trial = study.ask()
        values = tuple(entry.suggest(trial, name) for name in entry.names(path, base))
        for value in values:
            expect(entry.contains(value), entry, f"contain what it suggests, as {value!r}")
        kept = set(map(repr, trial.distributions.values()))
        rule = f"suggest from the distribution that it says, {entry.distribution()!r}, not from {', '.join(kept)}"
        expect(kept == {repr(entry.distribution())}, entry, rule)
        _expect_config(entry, entry.changes(path, values, base), config, f"what it suggests, as {values}")


def what_it_never_tries_is_not_in_its_range(entry: Entry, path: str, config: Config) -> None:
    """Of whatever type; it is no error."""
    for value in FOREIGN:
        expect(not entry.contains(value), entry, f"not contain {value!r}")


def values_of_the_base_mean_the_base(entry: Entry, path: str, config: Config) -> None:
    """Where they have a place in the range, the base can be a trial."""
    base = base_values(config)
    values = entry.base_values(path, base)
    if values is None:
        return
    expect(len(values) == len(entry.names(path, base)), entry, "give a value of the base for each of its parameters")
    for key, found in entry.changes(path, values, base).items():
        wanted = base.settings.get(key)
        expect(_close(found, wanted), entry, f"give the base's own {key} again, {wanted!r}, not {found!r}")


def _close(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float | int):
        return math.isclose(found, wanted, rel_tol=1e-6)
    return same(found, wanted)


def reads_back_as_it_was_written(entry: Entry, path: str, config: Config) -> None:
    """A study keeps its space; with a condition too."""
    for when in ({}, {"a.b": "x"}, {"a.b": ["x", "y"], "c": True, "d": None, "e": 1, "f": 0.5}):
        written = {**entry.model_dump(mode="json"), "when": when}
        again = validate(type(entry), written)
        expect(again.model_dump(mode="json") == written, entry, f"read back as it was written, not as {again!r}")
        kept = {key: type(value) for key, value in again.when.items()}
        expect(kept == {key: type(value) for key, value in when.items()}, entry, "keep the types of its condition")


ENTRY_CHECKS = (
    parameters_have_names_of_their_own_and_a_distribution,
    ends_are_in_its_range_and_make_configs,
    drawn_values_are_in_its_range_and_make_configs,
    what_it_never_tries_is_not_in_its_range,
    values_of_the_base_mean_the_base,
    reads_back_as_it_was_written,
)
"""What is checked of an entry, each alone."""


def check_entry(entry: Entry, path: str, config: Config) -> None:
    """The contract of the entries of a study's space, whole, over one of them.

    >>> from multitask.config import Config
    >>> from multitask.study import ENTRIES
    >>> tasks = {"shape": {"classes": ["round", "square"]}}
    >>> config = Config.model_validate({"labels": {"tasks": tasks}, "data": {"root": "images"}})
    >>> check_entry(ENTRIES["float"](low=0.1, high=0.9), "augment.strength", config)

    Args:
        entry: the entry.
        path: of the config, under which it stands.
        config: that its trials change.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in ENTRY_CHECKS:
        check(entry, path, config)
