"""When a recipe has a plain run's score: the reckoning on given histories, and one pair of tiny runs."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from multitask.bench import to_score
from multitask.bench.to_score import METRIC, Pair, measure_to_score, over_seeds, seed_times, summarise
from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import EpochRecord, LabelScores, Progress, ValidationScores
from multitask.reporting import console
from multitask.reporting.to_score.console import show_to_score
from multitask.reporting.to_score.report_schema import OverSeeds, TimedEpoch
from multitask.reporting.to_score.text import seed_text
from multitask.settings.yaml_text import dump_yaml


def curve(seconds: float, scores: Sequence[float]) -> tuple[TimedEpoch, ...]:
    """Epochs of so many seconds of the processor, and twice as many on the wall."""
    return tuple(
        TimedEpoch(epoch=number, processor_s=number * seconds, wall_s=2 * number * seconds, score=score)
        for number, score in enumerate(scores, 1)
    )


def test_the_first_epoch_with_the_score_and_the_one_from_which_it_stays() -> None:
    found = seed_times(7, 4, curve(10, [0.1, 0.5, 0.4]), curve(2, [0.3, 0.4, 0.2, 0.6, 0.4]))
    assert (found.last.plain.epoch, found.best.plain.epoch) == (3, 2)
    assert found.last.first is not None
    assert found.last.stays is not None
    assert (found.last.first.epoch, found.last.stays.epoch) == (2, 4)
    assert found.last.ratio == pytest.approx(4 / 30)
    assert found.last.stays_ratio == pytest.approx(8 / 30)
    assert found.best.first is not None
    assert found.best.first.epoch == 4
    assert found.best.ratio == pytest.approx(8 / 20)
    assert (found.best.stays, found.best.stays_ratio) == (None, None)
    text = seed_text(found, by_wall=False)
    assert text == (
        "seed 7: .400 after epoch 3 (30 s); the recipe has it after epoch 2 (4.0 s), .133 of that time, and for good "
        "from epoch 4 (8.0 s) on"
    )


def test_a_score_that_is_never_reached_is_said_to_be() -> None:
    found = seed_times(0, 4, curve(10, [0.5]), curve(2, [0.3, float("nan")]))
    assert (found.last.first, found.last.stays, found.last.ratio, found.last.stays_ratio) == (None,) * 4
    assert "the recipe never has it in 2 epochs" in seed_text(found, by_wall=False)


def test_what_is_never_reached_is_said_so_in_the_table_too(monkeypatch: pytest.MonkeyPatch) -> None:
    report = summarise(None, METRIC, False, [seed_times(0, 4, curve(10, [0.5]), curve(2, [0.3]))])
    printer = Console(file=io.StringIO(), width=160)
    monkeypatch.setattr(console, "out", printer)
    show_to_score(report)
    assert isinstance(printer.file, io.StringIO)
    words = printer.file.getvalue().split()
    assert "-" not in words
    # For last and best epoch when it is reached and its ratio, first and for good; then median and range of all four.
    assert words.count("never") == 8 + 8


def test_a_loss_is_reached_from_above_and_the_wall_may_count() -> None:
    found = seed_times(0, 4, curve(10, [2.0, 1.0, 1.5]), curve(2, [1.8, 1.5, 0.5]), by_wall=True, falls=True)
    assert found.best.plain.epoch == 2
    assert found.last.first is not None
    assert found.last.first.epoch == 2
    assert found.last.ratio == pytest.approx(8 / 60)
    assert found.best.first is not None
    assert found.best.first.epoch == 3


@pytest.mark.parametrize(
    ("ratios", "found"),
    [
        ([0.3, 0.2, 0.5], OverSeeds(median=0.3, low=0.2, high=0.5, num_reached=3, is_reached=True)),
        ([0.4, 0.2, 0.5], OverSeeds(median=0.4, low=0.2, high=0.5, num_reached=3, is_reached=False)),
        ([0.3, None, 0.2], OverSeeds(median=0.3, low=0.2, high=None, num_reached=2, is_reached=True)),
        ([0.3, None], OverSeeds(median=None, low=0.3, high=None, num_reached=1, is_reached=False)),
        ([None], OverSeeds(median=None, low=None, high=None, num_reached=0, is_reached=False)),
    ],
)
def test_a_seed_that_never_has_the_score_is_the_latest(ratios: list[float | None], found: OverSeeds) -> None:
    assert over_seeds(ratios) == found


@pytest.fixture
def fake_runs(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Runs that train nothing: an epoch takes as many seconds as the batch has images, and scores a tenth more each."""
    clock = [0.0]
    trained: list[Config] = []

    def run(config: Config, *, on_epoch: Callable[[EpochRecord], None]) -> None:
        trained.append(config)
        for epoch in range(1, config.training.epochs + 1):
            clock[0] += config.training.batch_size
            score = LabelScores(loss=0.0, macro_f1=epoch / 10, accuracy=0.0)
            on_epoch(EpochRecord(epoch=epoch, val=ValidationScores(loss=0.0, joint=score, tasks={}), best=True))

    monkeypatch.setattr(to_score, "run", run)
    monkeypatch.setattr(to_score, "now", lambda: (clock[0], clock[0] / 2))
    monkeypatch.setattr(Pair, "warm_up", lambda pair: None)
    return trained


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0
        self.total = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        self.total = total
        return lambda done: setattr(self, "done", done)


def written(config: Config, path: Path) -> Path:
    path.write_text(dump_yaml(config.model_dump(mode="json")), encoding="utf-8")
    return path


def test_seeds_are_run_in_turn_with_nothing_kept_for_each_other(
    tiny: Callable[..., Config], fake_runs: list[Config], tmp_path: Path
) -> None:
    plain = tiny({"training.epochs": 4, "training.batch_size": 10, "tracking": ["csv"], "data.split_seed": 3})
    recipe = tiny({"training.epochs": 6, "training.batch_size": 4, "seed": 5, "data.split_seed": 3})
    files = (written(plain, tmp_path / "plain.yaml"), written(recipe, tmp_path / "recipe.yaml"))
    progress = Notes()
    found = measure_to_score(files, progress, num_seeds=3)
    assert [(row.seed, row.last.ratio, row.best.ratio) for row in found.seeds] == [
        (seed, pytest.approx(0.4), pytest.approx(0.4)) for seed in (0, 1, 2)
    ]
    assert (found.clock, found.last.is_reached, found.last.num_reached) == ("processor", False, 3)
    assert [(config.seed, config.training.batch_size) for config in fake_runs] == [
        (0, 10), (0, 4), (1, 4), (1, 10), (2, 10), (2, 4),
    ]  # fmt: skip
    assert len({config.data.cache_dir for config in fake_runs}) == 6
    assert not any(config.tracking for config in fake_runs)
    assert (progress.done, progress.total) == (30, 30)
    assert [note.split(":")[0] for note in progress.notes] == ["seed 0", "seed 1", "seed 2"]


def test_without_configs_three_heads_race_one_on_drawn_images(
    fake_runs: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_score, "PEOPLE", 12)
    found = measure_to_score(None, Progress(), num_seeds=1)
    assert (found.plain, found.recipe, found.seeds[0].num_groups) == (None, None, 2)
    assert [config.model.sharing.name for config in fake_runs] == ["flat", "shared"]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_kept_features_are_kept_in_a_folder_of_their_own(
    tiny: Callable[..., Config], fake_runs: list[Config], cache: str
) -> None:
    frozen = {
        "data.cache": cache,
        "model.backbone.freeze": "all",
        "model.backbone.features": {},
        "model.backbone.weights": "hub",
        "augment.strength": 0.0,
        "augment.mix.mixup_prob": 0.0,
        "augment.mix.cutmix_prob": 0.0,
    }
    Pair(tiny({"data.cache": cache}), tiny(frozen), "joint.macro_f1").train(0, lambda: None)
    assert [config.data.cache for config in fake_runs] == [cache, "auto"]
    assert fake_runs[0].data.cache_dir is None
    assert fake_runs[1].data.cache_dir is not None


@pytest.mark.parametrize(
    ("changes", "metric", "line"),
    [
        ({"data.val_fraction": 0.5}, "joint.macro_f1", "recipe: would be scored on other groups or labels than plain"),
        ({"data.split_seed": 3}, "joint.macro_f1", "recipe: would be scored on other groups or labels than plain"),
        ({"data.val_fraction": 0, "training.keep.name": "last"}, "joint.macro_f1", "recipe: data.val_fraction is 0"),
        ({"labels.tasks.age.edges": [30, 50]}, "joint.macro_f1", "recipe: has other labels than plain"),
        ({}, "joint.macrof1", "--metric: unknown score 'joint.macrof1'; did you mean 'joint.macro_f1'"),
    ],
)
def test_pairs_that_do_not_compare(
    tiny: Callable[..., Config], changes: dict[str, Any], metric: str, line: str
) -> None:
    with pytest.raises(UserError) as caught:
        Pair(tiny(), tiny(changes), metric).check(0)
    assert str(caught.value).startswith(line)


def test_a_target_among_several_sources_validates_as_it_does_alone(tiny: Callable[..., Config], drawn: Path) -> None:
    source = {"root": str(drawn), "source": "synthetic"}
    sources = {"people": source, "others": {**source, "tasks": ["gender"]}}
    several = tiny({"data.root": "", "data.source": {"name": "several", "target": "people", "sources": sources}})
    assert Pair(tiny(), several, "joint.macro_f1").check(0) == 5
    untargeted = tiny({"data.root": "", "data.source": {"name": "several", "sources": sources}})
    with pytest.raises(UserError, match=r"^recipe: would be scored on other groups"):
        Pair(tiny(), untargeted, "joint.macro_f1").check(0)


def test_the_wall_counts_where_other_processes_make_batches(tiny: Callable[..., Config]) -> None:
    assert not Pair(tiny(), tiny(), "joint.macro_f1").by_wall
    assert Pair(tiny(), tiny({"data.workers": 1}), "joint.macro_f1").by_wall


def test_a_run_that_fails_is_named(tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: Config, **_: object) -> None:
        raise UserError("loss is nan")

    monkeypatch.setattr(to_score, "run", run)
    with pytest.raises(UserError, match=r"^recipe, seed 4: loss is nan$"):
        Pair(tiny(), tiny(), "joint.macro_f1").train(4, lambda: None, turned=True)
