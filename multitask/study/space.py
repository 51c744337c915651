"""The space of a study: which settings are tried, between which ends, and when."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from multitask.config import Config
from multitask.data.sources.several import PartSettings
from multitask.errors import UserError, nearest
from multitask.settings import Changes, flatten, override, problems, validate
from multitask.study.head_weights import HeadWeightsEntry
from multitask.study.parameters import BaseValues, Entry, Suggester, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Params = dict[str, Any]
"""Optuna's parameters: name -> value."""

_NUM_DRAWS = 64
"""Random points of the space that must be valid configs, beside its ends."""
_WHAT_IS_JUDGED = (
    "seed", "data.root", "data.split_seed", "data.val_fraction", "data.folds", "data.fold", "data.test_folds",
    "data.test_fold", "data.contradictions",
)  # fmt: skip
"""Settings that no space can hold."""
_OF_SAMPLES = re.compile(r"data\.(source|corrections)\.")
"""Nor can it hold these, but what is done with the images of one of several sources."""
_OF_A_SOURCES_IMAGES = re.compile(rf"data\.source\.sources\.\w+\.(?!({'|'.join(PartSettings.OF_SAMPLES)})\b)")


class Space:
    """The entries of a study file, made out for one base config.

    Args:
        entries: per config path; ``heads.*.`` stands for every head.
        base: what trials change.

    Raises:
        UserError: a path is unknown, an end or a choice makes an invalid config, a condition is never met; it names
            the entry.
    """

    def __init__(self, entries: Mapping[str, Entry], base: Config) -> None:
        self.base = base
        self._data = base.model_dump(mode="json")
        self._values = BaseValues(flatten(self._data), tuple(base.heads))
        self.entries = self._in_order(_expanded(entries, self._values.heads))
        self._check()

    # --- what a trial tries -------------------------------------------------------------------------------------

    def suggest(self, trial: Suggester) -> Changes:
        """Draws a trial's settings, each entry only where its condition is met; tells Optuna's trial of each."""
        changes: Changes = {}
        for path, entry in self.entries.items():
            if self._active(entry, changes):
                values = tuple(entry.suggest(trial, name) for name in entry.names(path, self._values))
                changes |= entry.changes(path, values, self._values)
        return changes

    def base_params(self) -> tuple[Params, list[str]]:
        """The base as a point of the space.

        Returns:
            Its parameters, and the paths of the entries that have no place for the base's value.
        """
        params: Params = {}
        outside = []
        for path, entry in self.entries.items():
            if not self._active(entry, {}):
                continue
            values = entry.base_values(path, self._values)
            if values is None:
                outside.append(path)
            else:
                params |= dict(zip(entry.names(path, self._values), values, strict=True))
        return params, outside

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every parameter's distribution."""
        return {
            name: entry.distribution()
            for path, entry in self.entries.items()
            for name in entry.names(path, self._values)
        }

    def keys(self, path: str) -> tuple[str, ...]:
        """The path of an entry, and the settings that it changes."""
        entry = self.entries[path]
        return path, *self._end_changes(path, entry, entry.ends()[0])

    @property
    def most_epochs(self) -> int:
        """Of any trial: the base's, or more where the space has them."""
        ends = (self._end_changes(path, entry, end) for path, entry in self.entries.items() for end in entry.ends())
        most: int = max(changes.get("training.epochs", 1) for changes in ends)
        return max(most, self.base.training.epochs)

    @property
    def has_weights(self) -> bool:
        """Whether trials change the heads' weights."""
        return any(isinstance(entry, HeadWeightsEntry) for entry in self.entries.values())

    def config(self, changes: Mapping[str, Any]) -> Config:
        """The base with a trial's settings.

        Raises:
            UserError: they do not go together.
        """
        return validate(Config, override(Config, self._data, changes))

    def _active(self, entry: Entry, changes: Mapping[str, Any]) -> bool:
        return all(
            any(same(changes.get(path, self._values.settings.get(path)), value) for value in _values(wanted))
            for path, wanted in entry.when.items()
        )

    # --- what is checked before the first trial -----------------------------------------------------------------

    def _in_order(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        """The entries, each after those that its condition asks for."""
        ordered: dict[str, Entry] = {}
        waiting = dict(entries)
        while waiting:
            ready = [path for path, entry in waiting.items() if not any(key in waiting for key in entry.when)]
            if not ready:
                raise UserError(f"space.{_in_a_circle(waiting)}.when: goes round in a circle")
            for path in ready:
                ordered[path] = waiting.pop(path)
        return ordered

    def _check(self) -> None:
        for path, entry in self.entries.items():
            entry.check(path, self._values, self.entries)
            for key in self.keys(path):
                if key in _WHAT_IS_JUDGED or (_OF_SAMPLES.match(key) and not _OF_A_SOURCES_IMAGES.match(key)):
                    sets = "" if key == path else f"sets {key}, which "
                    raise UserError(
                        f"space.{path}: {sets}decides which images a trial is judged on; the scores of its trials "
                        "would not compare"
                    )
            self._check_condition(path, entry)
        for path, entry in self.entries.items():
            for needed in self._conditions(entry):
                for end in entry.ends():
                    self._must_be_valid(f"space.{path}", end, needed | self._end_changes(path, entry, end))
        rng = random.Random(0)
        for _ in range(_NUM_DRAWS if len(self.entries) > 1 else 0):
            changes = self.suggest(_Drawn(rng))
            self._must_be_valid("space", ", ".join(f"{key}={value}" for key, value in changes.items()), changes)

    def _end_changes(self, path: str, entry: Entry, end: Any) -> Changes:
        """The entry's changes where each of its parameters has this value."""
        return entry.changes(path, (end,) * len(entry.names(path, self._values)), self._values)

    def _check_condition(self, path: str, entry: Entry) -> None:
        for key, wanted in entry.when.items():
            asked = self.entries.get(key)
            known = [key for key in (*self._values.settings, *self.entries) if key != path]
            if asked is None and key not in self._values.settings:
                raise UserError(f"space.{path}.when: unknown key {key!r}{nearest(key, known)}")
            own = self._values.settings.get(key)
            if asked is None and not any(same(own, value) for value in _values(wanted)):
                raise UserError(f"space.{path}.when: is never met: {key} is {own!r} in the base, and not in the space")
            if asked is not None and key not in self._end_changes(key, asked, asked.ends()[0]):
                raise UserError(f"space.{path}.when: {key} has no value of its own; name another setting")
            for value in _values(wanted):
                if asked is not None and not asked.contains(value):
                    raise UserError(f"space.{path}.when: space.{key} never tries {value!r}")

    def _conditions(self, entry: Entry) -> Iterator[Changes]:
        """What must be set for an entry to be tried: each way to meet its condition."""
        ways = [
            [
                above | self.entries[key].changes(key, (value,), self._values)
                for value in _values(wanted)
                for above in self._conditions(self.entries[key])
            ]
            for key, wanted in entry.when.items()
            if key in self.entries
        ]
        for chosen in itertools.product(*ways):
            needed: Changes = {key: value for way in chosen for key, value in way.items()}
            if all(same(needed[key], value) for way in chosen for key, value in way.items()):
                yield needed

    def _must_be_valid(self, where: str, value: object, changes: Mapping[str, Any]) -> None:
        try:
            found = problems(Config, override(Config, self._data, changes))
        except UserError as error:
            found = [str(error)]
        if not found:
            return
        if "unknown key" in found[0] and where.startswith("space."):
            raise UserError(f"space.{found[0]}")
        raise UserError(f"{where}: {value!r} makes a config that is refused: {found[0]}")


class _Drawn:
    """Draws as Optuna's trial would, but every other time an end, where settings that clash do so; to check a space."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """A number between the ends, or one of them."""
        if self._rng.random() < 0.5:
            return self._rng.choice((low, high))
        if log:
            return math.exp(self._rng.uniform(math.log(low), math.log(high)))
        if step is None:
            return self._rng.uniform(low, high)
        return low + step * self._rng.randint(0, round((high - low) / step))

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """A whole number between the ends, or one of them."""
        if self._rng.random() < 0.5:
            return self._rng.choice((low, high))
        return self._rng.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        """One of the choices, all as likely."""
        return self._rng.choice(choices)


def _expanded(entries: Mapping[str, Entry], heads: tuple[str, ...]) -> dict[str, Entry]:
    """The entries with ``heads.*.`` written out."""
    expanded: dict[str, Entry] = {}
    for path, entry in entries.items():
        for head in heads if path.startswith("heads.*.") else ("",):
            own = _of_head(path, head)
            if own in expanded:
                raise UserError(f"space.{own}: stands twice, since heads.* stands for every head")
            when = {_of_head(key, head): wanted for key, wanted in entry.when.items()}
            expanded[own] = entry.model_copy(update={"when": when}) if head else entry
    return expanded


def _of_head(path: str, head: str) -> str:
    return f"heads.{head}.{path.removeprefix('heads.*.')}" if path.startswith("heads.*.") else path


def _in_a_circle(entries: Mapping[str, Entry]) -> str:
    """The path of an entry whose condition leads back to itself, where every entry asks for another one of them."""
    path, passed = next(iter(entries)), set()
    while path not in passed:
        passed.add(path)
        path = next(key for key in entries[path].when if key in entries)
    return path


def _values(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]
