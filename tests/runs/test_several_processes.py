"""A run over several processes: real ones, which talk over gloo."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.distributed as dist

from multitask.config import Config
from multitask.data import SAMPLERS
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord, Progress
from multitask.runs import several_processes
from multitask.runs.build import build_network
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.predict import write_submission
from multitask.runs.run import run
from multitask.runs.several_processes import check_config, check_parts
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.ranks import Ranks
from tests.over_ranks import over_ranks
from tests.training.test_epoch_part import StopAt, StoppedError

import timm  # isort: skip  (after multitask, which makes it importable)

assert SAMPLERS  # imported before the fork, as all that runs need

# Plain descent at a small rate: where a step is divided by the gradient's own size, a last digit can turn its sign.
STEADY = {
    "training.optimizer.name": "sgd",
    "training.lr": 0.002,
    "training.epochs": 1,
    "training.batch_size": 15,
    "model.batch_norm": "synchronised",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"training.ema.decay": 0.9, "augment.strength": 0.9},
    "gramian": {"balancer.name": "pcgrad", "augment.mix.mixup_prob": 0.5, "augment.mix.cutmix_prob": 0.5},
    "norms": {"balancer.name": "gradnorm", "joint.weight": 1.0, "training.accumulate": 2},
    "replay": {"balancer.name": "famo", "data.sampler.name": "class_weighted"},
    "learned": {"balancer.name": "uncertainty", "training.keep": {"name": "mean", "epochs": 1}},
    "drawn": {"balancer.name": "random"},
    "shards": {
        "training.parallel": "fsdp",
        "training.ema.decay": 0.9,
        "training.accumulate": 2,
        "balancer.name": "pcgrad",
        "augment.mix": {"mixup_prob": 0.5, "cutmix_prob": 0.5},
    },
    "learned_shards": {
        "training.parallel": "fsdp",
        "balancer.name": "uncertainty",
        "joint.weight": 1.0,
        "training.keep": {"name": "mean", "epochs": 1},
    },
    "whole_batch": {
        "training.consistency.weight": 1.0,
        "labels.tasks.gender.per_group": True,
        "heads.age.loss.name": "soft_macro_f1",
    },
}
Make = Callable[..., Config]


@pytest.fixture(scope="module")
def runs(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, list[dict[str, Any]]]]:
    """By the number of processes: the folder of runs, and what each rank has of their histories."""
    configs = {name: tiny({**STEADY, **changes}) for name, changes in VARIANTS.items()}
    root = tmp_path_factory.mktemp("ranks")

    def work(folder: Path, names: list[str]) -> Callable[[int], dict[str, list[EpochRecord]]]:
        return lambda rank: {name: run(configs[name], folder / name).history for name in names}

    found = {}
    for size in (1, 2, 4):
        folder = root / str(size)
        names = [*VARIANTS] if size < 4 else ["gramian", "norms", "shards"]
        found[size] = folder, [work(folder, names)(0)] if size == 1 else over_ranks(size, work(folder, names))
    return found


@pytest.mark.parametrize(
    ("size", "name"), [*((2, name) for name in VARIANTS), (4, "gramian"), (4, "norms"), (4, "shards")]
)
def test_the_number_of_processes_changes_nothing_but_the_last_digits(runs: Any, size: int, name: str) -> None:
    (one, [own]), (folder, ranks) = runs[1], runs[size]
    assert all(rank[name] == ranks[0][name] for rank in ranks)  # decided once, told to all
    (before,), (after,) = own[name], ranks[0][name]
    assert after.train.loss == pytest.approx(before.train.loss, rel=1e-5)
    assert after.train.nll == pytest.approx(before.train.nll, rel=1e-5)
    assert after.val.loss == pytest.approx(before.val.loss, rel=1e-4)
    state, other = (load_checkpoint(path / name / "checkpoints" / "last.safetensors") for path in (one, folder))
    for part, value in state["network"].items():
        assert torch.allclose(other["network"][part], value, atol=1e-5), part
    assert [list(one["network"]) for one in (state, other)] == [list(state["network"])] * 2
    assert sorted(path.name for path in (folder / name).iterdir()) == sorted(
        path.name for path in (one / name).iterdir()
    )


def test_images_are_exchanged_of_batches_that_are_mixed_alone(tiny: Make, tmp_path: Path) -> None:
    config = tiny({**STEADY, "augment.mix.cutmix_prob": 0.5})
    gather = dist.all_gather

    def work(rank: int) -> tuple[int, EpochRecord]:
        exchanged: list[int] = []

        def counted(parts: list[torch.Tensor], own: torch.Tensor) -> Any:
            exchanged.append(own.dtype == torch.uint8)
            return gather(parts, own)

        with patch.object(dist, "all_gather", counted):
            [record] = run(config, tmp_path / "run").history
        return sum(exchanged), record

    num_batches = -(-len(DataModule(config).split.train) // 15)
    for exchanged, record in over_ranks(2, work):
        assert record.train.mixed is not None
        assert 0 < exchanged == round(record.train.mixed * num_batches) < num_batches


SHARDS = {
    "training.parallel": "fsdp",
    "training.optimizer.name": "adamw",
    "training.ema.decay": 0.9,
    "training.keep": {"name": "mean", "epochs": 2},
}


@pytest.mark.parametrize("changes", [{}, SHARDS])
def test_a_run_goes_on_as_never_stopped_at_the_same_number_and_at_another(
    tiny: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = tiny({**STEADY, "training.epochs": 2, "model.backbone.options": {"drop_rate": 0.2}, **changes})

    class StopError(ValueError):
        pass

    def stop(record: EpochRecord) -> None:
        if record.epoch == 1:
            raise StopError

    def work(rank: int) -> None:
        run(config, tmp_path / "whole")
        for name in ("same", "other"):
            with pytest.raises(StopError):
                run(config, tmp_path / name, on_epoch=stop)
        run(config, tmp_path / "same", resume=True)

    assert over_ranks(2, work) == [None, None]
    whole, same = (load_checkpoint(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("whole", "same"))
    for part, value in whole["network"].items():
        assert torch.equal(same["network"][part], value), part
    assert all(torch.equal(same["ema"][part], value) for part, value in (whole["ema"] or {}).items())
    alone = config.model_copy(update={"training": config.training.model_copy(update={"parallel": "ddp"})})
    assert len(run(alone, tmp_path / "other", resume=True).history) == 2
    assert (tmp_path / "other" / "report.json").is_file()


ALIKE: dict[str, dict[str, Any]] = {
    "bf16": {"training.precision": "bf16"},
    "fp16": {"training.precision": "fp16"},
    # With few images of a source in a process, batch norms make much of a last digit.
    "sources": {"model.batch_norm": "per_source", "training.batch_size": 60},
    "stopped": {"training.checkpoint_steps": 1, "training.patience": 1, "training.epochs": 4},
}


Losses = dict[str, list[float]]


@pytest.fixture(scope="module")
def both(tiny: Make, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Losses]]:
    """The folder of runs over two processes, in shards and not, and what each rank has of their losses."""
    folder, source = tmp_path_factory.mktemp("both"), {"root": str(drawn), "source": {"name": "competition"}}
    sources = {"people": source, "others": {**source, "tasks": ["gender", "age"]}}
    several = {"data.root": "", "data.source": {"name": "several", "target": "people", "sources": sources}}

    def work(rank: int) -> Losses:
        found = {}
        for name, changes in ALIKE.items():
            for way in ("ddp", "fsdp"):
                own = {"training.parallel": way, **changes, **(several if name == "sources" else {})}
                config, out = tiny({**STEADY, **own}), folder / f"{name}-{way}"
                if stopped := name == "stopped" and way == "fsdp":
                    with pytest.raises(StoppedError):
                        run(config, out, progress=StopAt(2, 1))
                found[out.name] = [epoch.train.loss for epoch in run(config, out, resume=stopped).history]
        return found

    return folder, over_ranks(2, work)


@pytest.mark.parametrize("name", ALIKE)
def test_shards_train_what_whole_weights_do(both: Any, name: str) -> None:
    folder, [losses, other] = both
    assert losses == other
    assert len(losses[f"{name}-fsdp"]) == (2 if name == "stopped" else 1)  # by its patience
    assert losses[f"{name}-fsdp"] == pytest.approx(losses[f"{name}-ddp"], rel=1e-5)
    found, expected = (
        load_checkpoint(folder / f"{name}-{way}" / "checkpoints" / "last.safetensors") for way in ("fsdp", "ddp")
    )
    for part, value in expected["network"].items():
        assert torch.allclose(found["network"][part], value, atol=1e-5), part


def test_what_one_rank_finds_ends_all_with_one_line(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny({**STEADY, "seed": 7})
    config = tiny(STEADY)

    def differ(rank: int) -> None:
        run(other if rank == 1 else config, tmp_path / "run")

    lines = over_ranks(2, differ)
    assert sorted(lines)[0] == "UserError: rank 1: has other settings than rank 0; give all processes the same"
    assert sorted(lines)[1] == "exit 2"
    assert not (tmp_path / "run").exists()

    def code(rank: int) -> None:
        monkeypatch.setattr(several_processes, "_of_code", lambda: str(rank))
        run(config, tmp_path / "run")

    assert sorted(over_ranks(2, code))[0].startswith("UserError: rank 1: has other code")

    def alone(rank: int) -> None:
        if rank == 1:
            raise UserError("an image is gone")
        run(config, tmp_path / "alone")

    assert over_ranks(2, alone) == ["exit 2", "UserError: an image is gone"]


def test_a_rank_that_dies_ends_the_others_with_one_line(tiny: Make, tmp_path: Path) -> None:
    def work(rank: int) -> None:
        def die(record: EpochRecord) -> None:
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        run(tiny({**STEADY, "training.epochs": 3}), tmp_path / "run", on_epoch=die)

    [line] = over_ranks(2, work, num_told=1)
    assert line.startswith("UserError: rank 0: another process of this launch is gone; finished epochs are saved")


def test_what_does_not_go_through_several_processes_is_refused(tiny: Make) -> None:
    with pytest.raises(UserError, match=r"training.batch_size: 15 makes batches of 3 of 18 images, fewer than the 4"):
        check_parts(18, 6, 15, Ranks(0, 4))
    check_parts(18, 6, 15, Ranks(0, 3))
    config = tiny()

    class Mine(type(config.balancer)):  # type: ignore[misc]
        pass

    own = config.model_copy(update={"balancer": Mine()})
    check_config(own, Ranks())
    with pytest.raises(UserError, match="is your own"):
        check_config(own, Ranks(0, 2))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"model.backbone": {"freeze": "all", "weights": __file__}},
            "fsdp shards what is trained, but model.backbone.freeze is all; use ddp",
        ),
        (
            {"model.backbone": {"freeze": 2, "weights": __file__, "features": {}}, "augment.strength": 0},
            "fsdp shards networks that read images, not what their frozen stages gave",
        ),
        ({"model.sharing": {"name": "branch", "at": "stages.1"}}, "fsdp cannot shard branches"),
        ({"balancer.name": "gradnorm"}, "fsdp keeps no whole layer, whose gradients balancer gradnorm needs"),
        ({"training.optimizer.name": "lamb"}, "fsdp needs an optimiser that moves every element by itself, found lamb"),
    ],
)
def test_what_cannot_be_sharded_is_refused_with_the_config(tiny: Make, changes: dict[str, Any], line: str) -> None:
    tiny(changes)
    with pytest.raises(UserError, match=line):
        tiny({**changes, "training.parallel": "fsdp"})


def test_what_learns_beside_shards_is_not_scaled(tiny: Make, tmp_path: Path) -> None:
    config = tiny({"training.parallel": "fsdp", "balancer.name": "uncertainty", "training.precision": "fp16"})
    lines = over_ranks(2, lambda rank: run(config, tmp_path / "run").folder)
    assert any("training.precision: fp16 cannot scale what balancer uncertainty learns" in line for line in lines)
    assert not (tmp_path / "run").exists()


def images_read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that this process decodes from now on."""
    found, load = [], Preprocessing.load

    def note(self: Preprocessing, path: Path, *box: Any) -> Any:
        found.append(path)
        return load(self, path, *box)

    monkeypatch.setattr(Preprocessing, "load", note)
    return found


@pytest.mark.parametrize("freeze", ["all", 3])
def test_features_are_computed_by_all_and_are_those_of_one_process(
    freeze: Any, tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), weights)
    backbone = {"name": "test_resnet", "weights": str(weights), "freeze": freeze, "features": {"views": 2}}
    read = images_read(monkeypatch)

    def work(rank: int, folder: str = "several") -> tuple[int, Any]:
        config = tiny({"model.backbone": backbone, "data.cache_dir": str(tmp_path / folder)})
        data = DataModule(config)
        data.use_features(build_network(config, torch.device("cpu"), True).backbone, Progress())
        num = len(read)
        data.use_features(build_network(config, torch.device("cpu"), True).backbone, Progress())
        assert len(read) == num  # nothing is computed again
        assert data._features is not None
        return num, data._features.take(np.arange(84)).sum()

    files: dict[str, list[Path]] = {}
    (num, total), several = work(0, "one"), over_ranks(3, work)
    for folder in ("one", "several"):
        files[folder] = sorted(path for path in (tmp_path / folder).iterdir() if path.suffix != ".lock")
    assert [path.name for path in files["one"]] == [path.name for path in files["several"]]
    assert len(files["one"]) == 2
    for one, other in zip(*files.values(), strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert num == 84
    assert [num - 84 for num, _ in several] == [28, 28, 28]  # the fork begins with what one process read
    assert {found for _, found in several} == {total}


def test_images_in_memory_are_decoded_by_all(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = images_read(monkeypatch)

    def work(rank: int) -> tuple[int, bytes]:
        data = DataModule(tiny({"data.cache": "memory"}))
        data.batches("train", Progress(), torch.device("cpu"), train=True)
        return len(read), data.store.images(Progress()).take(np.arange(84)).tobytes()

    (num, pixels), several = work(0), over_ranks(3, work)
    assert num == 84
    assert [num - 84 for num, _ in several] == [32, 32, 20]  # of pieces of sixteen
    assert {found for _, found in several} == {pixels}


def test_answers_and_scores_are_those_of_one_process(
    tiny: Make, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny({**STEADY, "training.batch_size": 8})
    run(config, tmp_path / "one")
    for name in ("two", "five"):
        shutil.copytree(tmp_path / "one", tmp_path / name)
    read = images_read(monkeypatch)

    def work(name: str) -> tuple[list[int], RunReport]:
        trained, counts = read_run(tmp_path / name), []
        num = write_submission(trained, drawn, tmp_path / f"{name}.csv", Progress())
        counts.append(len(read))
        report = evaluate(trained, "val", Progress())
        counts.append(len(read))
        evaluate(trained, "eval", Progress())
        assert num == 21
        return counts, replace(report, created="", run="")

    [first, _], expected = work("one")
    before = len(read)
    assert first == 21
    for name, size in (("two", 2), ("five", 5)):
        found = over_ranks(size, lambda rank, name=name: work(name))
        assert [report for _, report in found] == [expected] * size
        assert sum(counts[0] - before for counts, _ in found) == 21  # each image is one process's
        for file in ("predictions-val.csv", "predictions-eval.csv"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
        assert (tmp_path / f"{name}.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            path.name for path in (tmp_path / "one").iterdir()
        }
