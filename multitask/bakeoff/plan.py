"""The plan of a bake-off: every contender's config, checked whole before anything is trained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multitask.bakeoff.settings import BakeoffSettings, Point, read_bakeoff, slug_of
from multitask.config import Config, load_config
from multitask.config.file_kinds import BAKEOFF, check_overrides
from multitask.data.settings import DataSettings
from multitask.errors import UserError, nearest
from multitask.evaluation.repeated_runs import resampled_metrics
from multitask.labels import LabelSpace
from multitask.settings import Changes, located, parse_override
from multitask.utils.files import json_digest
from multitask.utils.seeds import derive

_ALL_HEADS = "heads.*."


@dataclass(frozen=True)
class Contender:
    """A contender of a bake-off.

    Attributes:
        name: as the file calls it.
        config: the config that it changes.
        changes: dotted key -> value, over that config.
        own: the part of the changes that is this contender's alone.
    """

    name: str
    config: Path
    changes: Changes
    own: Changes

    @property
    def slug(self) -> str:
        """The name of the contender's folder."""
        return slug_of(self.name)


class Plan:
    """A bake-off file with the configs of all contenders.

    Args:
        settings: the file.
        contenders: in the file's order.
        allow_extensions: whether the code that their configs name may run.

    Raises:
        UserError: a contender's config is refused, or does not compare with the others'.
    """

    def __init__(self, settings: BakeoffSettings, contenders: list[Contender], allow_extensions: bool = False) -> None:
        self._allow_extensions = allow_extensions
        self.settings = settings
        self.contenders = contenders
        self._configs: dict[str, Config] = {}
        self.combinations: list[Changes] = [
            dict(zip(settings.tune, values, strict=True)) for values in itertools.product(*settings.tune.values())
        ]
        """Of the values that are tried for each contender; one that changes nothing where nothing is tuned."""
        self._refuse_reserved()
        configs = [self._checked(contender) for contender in contenders]
        self.base = configs[self._reference]
        self._refuse_unlike(configs)

    @property
    def _reference(self) -> int:
        return next(place for place, row in enumerate(self.contenders) if row.name == self.settings.compared_with)

    @property
    def space(self) -> LabelSpace:
        """The label space, which all contenders have."""
        return self.base.space()

    def place(self, point: Point, index: int) -> Changes:
        """The settings of run ``index`` at a point of the axis, common to all contenders."""
        settings = self.settings
        found = {"seed": settings.seeds[index], "data.split_seed": settings.split_seed, **self._fold(index)}
        return found if settings.axis is None else {**found, "data.train_groups": None if point == "all" else point}

    def first_place(self) -> Changes:
        """The place of the first run on all groups."""
        return self.place(self.settings.points[-1], 0)

    def tuning_place(self) -> Changes:
        """The settings common to the tuning runs: a seed and a split that no other run has."""
        seed = self.settings.seed
        return {"seed": derive(seed, "tune"), "data.split_seed": derive(seed, "tune split"), **self._fold(0)}

    def _fold(self, index: int) -> Changes:
        folds = self.settings.folds
        if folds is None:
            return {}
        usual = DataSettings.model_fields["val_fraction"].default
        return {"data.folds": folds, "data.fold": index % folds, "data.val_fraction": usual}

    def config(self, contender: Contender, tuned: Mapping[str, Any], place: Mapping[str, Any]) -> Config:
        """A contender's config with tuned values at a place.

        Raises:
            UserError: it is refused; the line names the contender.
        """
        key = json.dumps([contender.name, tuned, place], default=str)
        if key not in self._configs:
            self._configs[key] = self._made(contender, {**contender.changes, **tuned, **place})
        return self._configs[key]

    def _made(self, contender: Contender, changes: Changes) -> Config:
        try:
            if any(key.startswith(_ALL_HEADS) for key in changes):
                plain = {key: value for key, value in changes.items() if not key.startswith(_ALL_HEADS)}
                changes = _spelt(changes, self._load(contender, plain).heads)
            return self._load(contender, changes)
        except UserError as error:
            raise UserError(f"contenders.{contender.name}: {error}") from None

    def _load(self, contender: Contender, changes: Changes) -> Config:
        return load_config(contender.config, (), changes, allow_extensions=self._allow_extensions)

    def _checked(self, contender: Contender) -> Config:
        """The contender's config at its first run, every combination of tuned values having been tried on it."""
        alone = self.config(contender, {}, {}).data
        if self.settings.folds is None and alone.none_validate:
            raise UserError(f"contenders.{contender.name}: data.val_fraction: some groups must validate, but it is 0")
        place = self.place(self.settings.points[0], 0)
        return [self.config(contender, tuned, place) for tuned in reversed(self.combinations)][-1]

    def _refuse_reserved(self) -> None:
        """Refuses changes of keys that the bake-off sets, which would be ignored, and of keys that are tuned."""
        settings = self.settings
        taken = dict.fromkeys([*self.place(settings.points[0], 0), "data.fold"], "")
        taken |= {"seed": "seeds", "data.split_seed": "split_seed", "data.folds": "folds", "data.fold": "folds"}
        if settings.folds is not None:
            taken["data.val_fraction"] = "folds"
        if settings.axis is not None:
            taken["data.train_groups"] = "axis"
        if settings.budget is not None:
            taken["training.epochs"] = "budget"
        for contender in self.contenders:
            for key in contender.changes:
                where = f"contenders.{contender.name}.overrides" if key in contender.own else "overrides"
                if key in taken:
                    raise UserError(f"{where}.{key}: is set by the bake-off itself, from {taken[key]}")
                if clash := next((tuned for tuned in settings.tune if _overlap(tuned, key)), None):
                    raise UserError(f"tune.{clash}: {where}.{key} sets it too, and would be ignored")
        for key in settings.tune:
            if key in taken:
                raise UserError(f"tune.{key}: is set by the bake-off itself, from {taken[key]}")

    def _refuse_unlike(self, configs: list[Config]) -> None:
        reference = self.contenders[self._reference].name
        seen: dict[str, str] = {}
        for contender, config in zip(self.contenders, configs, strict=True):
            where = f"contenders.{contender.name}"
            if config.space() != self.base.space():
                raise UserError(f"{where}: has another label space than {reference}; their scores would not compare")
            for key, own in _said_of_groups(config.data).items():
                if own != _said_of_groups(self.base.data)[key]:
                    raise UserError(
                        f"{where}: data.{key} is another than {reference}'s; they would not be scored on "
                        "the same groups"
                    )
            digest = digest_of(config, decode=True)
            if digest in seen:
                raise UserError(f"{where}: has the same settings as {seen[digest]}")
            seen[digest] = contender.name
        metrics = resampled_metrics(self.space)
        if self.settings.metric not in metrics:
            raise UserError(
                f"metric: {self.settings.metric!r} cannot be compared by resampling groups"
                f"{nearest(self.settings.metric, metrics)}"
            )


def _said_of_groups(data: DataSettings) -> dict[str, Any]:
    """What says which groups there are and on which side, by its key in ``data``."""
    sides = {key: getattr(data, key) for key in ("root", "val_fraction", "folds", "fold")}
    return {**sides, "source": data.source.of_samples}


def _spelt(changes: Mapping[str, Any], heads: Iterable[str]) -> Changes:
    """The changes with ``heads.*.`` written out; what was set later stands."""
    found: Changes = {}
    heads = list(heads)
    for key, value in changes.items():
        rest = key.removeprefix(_ALL_HEADS)
        for name in [key] if rest == key else [f"heads.{head}.{rest}" for head in heads]:
            found.pop(name, None)
            found[name] = value
    return found


def _overlap(key: str, other: str) -> bool:
    """Whether ``other`` is ``key`` or a key inside it, ``heads.*`` being every head."""
    if key.startswith("heads.") and other.startswith("heads.") and "*" in (key.split(".")[1], other.split(".")[1]):
        key, other = (".".join(word.split(".")[:1] + word.split(".")[2:]) for word in (key, other))
    return key == other or other.startswith(f"{key}.")


def digest_of(config: Config, decode: bool = False, ignore: Iterable[str] = ()) -> str:
    """A digest of all settings that training depends on; with ``decode``, of the decode rule too."""
    data = config.model_dump(mode="json")
    data.pop("tracking", None)  # which changes no number
    for key in ignore if decode else ("decode", *ignore):
        *path, last = key.split(".")
        section = data
        for name in path:
            section = section[name]
        section.pop(last)
    return json_digest(data)


def load_bakeoff(
    path: Path,
    overrides: Iterable[str] = (),
    instead: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> Plan:
    """A bake-off file, checked whole.

    Args:
        path: the file.
        overrides: ``key=value`` for all contenders alike; they go before the file's own, a contender's before them.
        instead: the file's own keys -> value in place of the file's, where that is not None.
        allow_extensions: whether the code that the contenders' configs name may run.

    Raises:
        UserError: as one line, with the key at fault.
    """
    settings = read_bakeoff(path, instead)
    folder = path.parent.resolve()
    check_overrides(overrides := tuple(overrides), BakeoffSettings, BAKEOFF)
    given = dict(parse_override(text) for text in overrides)
    contenders = []
    for name, found in settings.contenders.items():
        own = located(found.overrides, folder)
        changes = {**located(settings.overrides, folder), **given, **own}
        contenders.append(Contender(name, Path(found.config or settings.base), changes, own))
    return Plan(settings, contenders, allow_extensions)
