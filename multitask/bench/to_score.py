"""Time to a score: how long one config trains until it scores as another did at its end, on the same groups."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from multitask.config import Config, load_config, scored_metrics
from multitask.errors import UserError, nearest
from multitask.progress import EpochRecord, Progress
from multitask.reporting.to_score.report_schema import OverSeeds, Reached, SeedTimes, TimedEpoch, ToScoreReport
from multitask.reporting.to_score.text import seed_text
from multitask.runs.build import build_network, build_trainer
from multitask.runs.data_module import DataModule
from multitask.runs.run import run
from multitask.settings import Changes
from multitask.training.device import resolve_device
from multitask.training.history import lookup
from multitask.utils.shipped import config_file

WANTED = 1 / 3
SEEDS = 3
METRIC = "joint.macro_f1"
PEOPLE = 150
"""Drawn where no configs are given; a fifth of them validate."""


def measure_to_score(
    files: tuple[Path, Path] | None,
    progress: Progress,
    *,
    metric: str = METRIC,
    num_seeds: int = SEEDS,
    allow_extensions: bool = False,
) -> ToScoreReport:
    """Trains both configs whole with each seed, from files to the last epoch, and compares when they had a score.

    Args:
        files: the plain config's and the recipe's; None: a pair on drawn images.
        progress: notified of each epoch, and of what each seed found.
        metric: the score, as ``metrics.jsonl`` has it below ``val``.
        num_seeds: pairs of runs; the first seed is the plain config's.
        allow_extensions: as of ``load_config``.

    Raises:
        UserError: a config or its data are not as they must be, or the two are scored on other groups.
    """
    with tempfile.TemporaryDirectory() as name:
        if files is None:
            pair = Pair(*drawn_pair(Path(name) / "drawn"), metric)
        else:
            plain, recipe = (load_config(file, allow_extensions=allow_extensions) for file in files)
            pair = Pair(plain, recipe, metric, (str(files[0]), str(files[1])))
        seeds = range(pair.seed, pair.seed + num_seeds)
        num_groups = [pair.check(seed) for seed in seeds]
        pair.warm_up()
        done, trained = progress.stage("training", num_seeds * pair.num_epochs, "epochs"), count(1)
        found: list[SeedTimes] = []
        for seed, num in zip(seeds, num_groups, strict=True):
            # Who goes first alternates, so that neither always follows the other's heat.
            curves = pair.train(seed, lambda: done(next(trained)), turned=len(found) % 2 == 1)
            found.append(seed_times(seed, num, *curves, by_wall=pair.by_wall, falls=metric.endswith("loss")))
            progress.note(seed_text(found[-1], pair.by_wall))
    return summarise(files, metric, pair.by_wall, found)


def drawn_pair(folder: Path) -> tuple[Config, Config]:
    """One flat head and three heads on the same drawn faces, which are drawn when they are first read.

    Args:
        folder: that is made for them.
    """
    recipe = load_config(
        config_file("demo"), [f"data.root={folder}", f"data.source.draw={{people: {PEOPLE}}}", "data.val_fraction=0.2"]
    )
    return recipe.with_changes({"model.sharing.name": "flat", "heads": {}}), recipe


class Pair:
    """Two configs that are trained with the same seed in turn, each with nothing that an earlier run kept.

    Args:
        plain: whose score is the mark.
        recipe: whose time to it is taken.
        metric: the score.
        names: the two configs', for errors.

    Attributes:
        by_wall: whether the seconds on the wall count, since a GPU computes or other processes make batches; else the
            processor's do, which others' work on the machine moves less.

    Raises:
        UserError: they are of other classes, nobody validates, or there is no such score.
    """

    def __init__(
        self, plain: Config, recipe: Config, metric: str, names: tuple[str, str] = ("plain", "recipe")
    ) -> None:
        self._configs, self._names, self._metric = (plain, recipe), names, metric
        self.seed = plain.seed
        self.num_epochs = plain.training.epochs + recipe.training.epochs
        self.by_wall = any(
            resolve_device(config.device).type != "cpu" or config.data.workers not in (0, "auto")
            for config in self._configs
        )
        if plain.space() != recipe.space():
            raise UserError(f"{names[1]}: has other labels than {names[0]}; their scores do not compare")
        if metric not in (metrics := scored_metrics(plain.space())):
            raise UserError(f"--metric: unknown score {metric!r}{nearest(metric, metrics)}")
        for name, config in zip(names, self._configs, strict=True):
            if config.data.none_validate:
                raise UserError(f"{name}: data.val_fraction is 0, so that nobody validates and no epoch has a score")

    def check(self, seed: int) -> int:
        """Checks that the same groups validate in both with a seed; no image is opened.

        Returns:
            How many they are.

        Raises:
            UserError: others do, or none is labelled for the score.
        """
        first, second = (
            self._scored(name, config, seed) for name, config in zip(self._names, self._configs, strict=True)
        )
        if first != second:
            raise UserError(
                f"{self._names[1]}: would be scored on other groups or labels than {self._names[0]} with seed {seed}; "
                "both need the same data.val_fraction, data.folds and data.split_seed, and of several sources "
                "data.source.target"
            )
        return len({group for group, _ in first})

    def _scored(self, name: str, config: Config, seed: int) -> list[tuple[str, tuple[int, ...]]]:
        """Group and labels of each image that is scored after an epoch, sorted."""
        try:
            dataset = DataModule(config.with_changes({"seed": seed})).dataset
            dataset.check_scored(self._metric, "--metric", dataset.split.picks)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        samples = dataset.samples.take(dataset.indices(dataset.split.picks))
        groups = config.data.source.own_names(samples.groups.tolist())
        return sorted(zip(groups, map(tuple, samples.labels.tolist()), strict=True))

    def warm_up(self) -> None:
        """Imports all that the runs import, reads every file once, and has weights that are downloaded here.

        Raises:
            UserError: a network cannot be built, or a file cannot be read.
        """
        for name, config in zip(self._names, self._configs, strict=True):
            try:
                data = DataModule(config)
                data.facts()
                data.augmentation()
                build_trainer(config, data, build_network(config, resolve_device(config.device)), 1)
            except UserError as error:
                raise UserError(f"{name}: {error}") from None

    def train(
        self, seed: int, told: Callable[[], object], turned: bool = False
    ) -> tuple[tuple[TimedEpoch, ...], tuple[TimedEpoch, ...]]:
        """Trains both.

        Args:
            seed: of both.
            told: called after every epoch.
            turned: whether the recipe goes first.

        Returns:
            The epochs of the plain run and of the recipe.

        Raises:
            UserError: one of them fails.
        """
        curves = {}
        for which in (1, 0) if turned else (0, 1):
            try:
                curves[which] = self._timed(self._configs[which].with_changes({"seed": seed, "tracking": []}), told)
            except UserError as error:
                raise UserError(f"{self._names[which]}, seed {seed}: {error}") from None
        return curves[0], curves[1]

    def _timed(self, config: Config, told: Callable[[], object]) -> tuple[TimedEpoch, ...]:
        epochs: list[TimedEpoch] = []
        with tempfile.TemporaryDirectory() as folder:
            config = config.with_changes(_kept_in(config, folder))
            began = now()

            def tell(record: EpochRecord) -> None:
                processor_s, wall_s = (there - here for here, there in zip(began, now(), strict=True))
                score = lookup(record.val, self._metric)
                epochs.append(TimedEpoch(epoch=record.epoch, processor_s=processor_s, wall_s=wall_s, score=score))
                told()

            run(config, on_epoch=tell)
        return tuple(epochs)


def now() -> tuple[float, float]:
    """Seconds of this process's processor time, and on the wall."""
    return time.process_time(), time.perf_counter()


def _kept_in(config: Config, folder: str) -> Changes:
    """What a config changes to keep what it keeps for other runs in a folder of its own, so that it finds nothing."""
    if config.data.cache not in ("memory", "none"):
        return {"data.cache_dir": folder}
    if config.model.backbone.features is not None:
        return {"data.cache": "auto", "data.cache_dir": folder}
    return {}


def seed_times(
    seed: int,
    num_groups: int,
    plain: Sequence[TimedEpoch],
    recipe: Sequence[TimedEpoch],
    *,
    by_wall: bool = False,
    falls: bool = False,
) -> SeedTimes:
    """What both runs of a seed say of the time to a score.

    Args:
        seed: of both.
        num_groups: that validate.
        plain: its epochs, one or more.
        recipe: likewise.
        by_wall: whose seconds the ratios are of: the wall's, or the processor's.
        falls: whether the score is a loss, which is better when lower.
    """
    sign = -1 if falls else 1
    best = max(plain, key=lambda row: (sign * row.score, -row.epoch))

    def reached(mark: TimedEpoch) -> Reached:
        has = [sign * row.score >= sign * mark.score for row in recipe]
        first = next((row for row, enough in zip(recipe, has, strict=True) if enough), None)
        lacking = [place for place, enough in enumerate(has) if not enough]
        left = recipe[lacking[-1] + 1 :] if lacking else recipe
        stays = left[0] if left else None
        ratio, stays_ratio = (
            None if row is None else row.seconds(by_wall) / mark.seconds(by_wall) for row in (first, stays)
        )
        return Reached(plain=mark, first=first, stays=stays, ratio=ratio, stays_ratio=stays_ratio)

    return SeedTimes(
        seed=seed,
        num_groups=num_groups,
        plain=tuple(plain),
        recipe=tuple(recipe),
        last=reached(plain[-1]),
        best=reached(best),
    )


def over_seeds(ratios: Sequence[float | None], wanted: float = WANTED) -> OverSeeds:
    """Ratios over seeds.

    Args:
        ratios: a seed each; None: it never has the score, which is later than all others.
        wanted: what the median should at most be.
    """
    known = [math.inf if ratio is None else ratio for ratio in ratios]
    median, low, high = (
        value if math.isfinite(value) else None for value in (statistics.median(known), min(known), max(known))
    )
    return OverSeeds(
        median=median,
        low=low,
        high=high,
        num_reached=sum(math.isfinite(ratio) for ratio in known),
        is_reached=median is not None and median <= wanted,
    )


def summarise(files: tuple[Path, Path] | None, metric: str, by_wall: bool, seeds: Sequence[SeedTimes]) -> ToScoreReport:
    """The report of all seeds; arguments as of the functions above."""
    plain, recipe = (None, None) if files is None else map(str, files)
    return ToScoreReport(
        plain=plain,
        recipe=recipe,
        metric=metric,
        clock="wall" if by_wall else "processor",
        wanted=WANTED,
        seeds=tuple(seeds),
        last=over_seeds([row.last.ratio for row in seeds]),
        last_stays=over_seeds([row.last.stays_ratio for row in seeds]),
        best=over_seeds([row.best.ratio for row in seeds]),
        best_stays=over_seeds([row.best.stays_ratio for row in seeds]),
    )
