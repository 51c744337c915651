"""Bad input: one clear line that names it, exit code 2, nothing half-written, existing outputs untouched."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.runs.run import run

Call = Callable[..., Any]
PERSON = "000001_"


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn set, to be damaged."""
    root = tmp_path / "data"
    shutil.copytree(drawn, root)
    return root


@pytest.fixture(scope="module")
def trained(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(tiny({"training.epochs": 1, "training.schedule.warmup_epochs": 0}), folder)
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of a run, to be damaged."""
    folder = tmp_path / "copied"
    shutil.copytree(trained, folder)
    return folder


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def first_person(root: Path) -> Path:
    return next(path for path in sorted((root / "train" / "images").iterdir()) if path.name.startswith(PERSON))


def edit_csv(path: Path, change: Callable[[list[list[str]]], None]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


class TestConfig:
    @pytest.mark.parametrize(
        ("setting", "parts"),
        [
            ("training.lrr=1", ("training.lrr", "unknown key", "'lr'")),
            ("trainin.lr=1", ("trainin", "unknown key", "'training'")),
            ("epochs=3", ("epochs", "unknown key", "did you mean 'training.epochs'")),
            ("data.augment.strength=0", ("data.augment", "unknown key", "did you mean 'augment'")),
            ("heads.agee.weight=1", ("heads.agee", "'age'")),
            ("heads.age.loss.gama=1", ("heads.age.loss.gama", "unknown key", "cross_entropy")),
            ("heads.age.loss.name=focl", ("heads.age.loss.name", "focl", "'focal'")),
            ("training.lr=fast", ("training.lr", "valid number", "'fast'")),
            ("training.epochs=2.5", ("training.epochs", "valid integer", "2.5")),
            ("training.epochs=true", ("training.epochs", "true")),
            ("training.lr=-1", ("training.lr", "greater than 0", "-1")),
            ("augment.strength=1.5", ("augment.strength", "less than or equal to 1", "1.5")),
            ("data.image_size=[32, 0]", ("data.image_size", "0")),
            ("model.backbone.name=test_resne", ("model.backbone.name", "test_resne", "'test_resnet'")),
            ("model.backbone.weights=/nowhere/w.safetensors", ("/nowhere/w.safetensors",)),
            ("model.backbone.freeze=all", ("freeze", "random weights")),
            ("model.sharing={name: branch, at: layr3}", ("model.sharing.at", "'layr3'", "it has layer3, ", "act1")),
            ("model.sharing={name: branch, at: layer4}", ("model.sharing.at", "nothing", "'layer4'", "layer3")),
            ("heads.mask.net=corn", ("heads.mask.net", "corn", "nominal")),
            ("data.fold=1", ("data.fold", "folds")),
            ("data.train_groups=99", ("data.train_groups", "99", "there are 7 to train")),
            ("data.held_out=[{gendr: female}]", ("data.held_out", "'gendr'", "'gender'")),
            ("data.held_out=[{gender: femal}]", ("data.held_out", "'femal'", "'female'")),
            ("data.held_out=[{gender: female}]", ("data.held_out", "no image of gender 'female'")),
            ("data.held_out={gender: female}", ("data.held_out",)),
            ("data.held_out=[{}]", ("data.held_out", "nothing to train on")),
            ("training.monitor=joint.f1", ("training.monitor", "joint.f1", "joint.macro_f1")),
            ("training.schedule.warmup_epochs=9", ("warmup_epochs", "9")),
            ("augment.mix={mixup_prob: 0.7, cutmix_prob: 0.7}", ("mixup_prob", "cutmix_prob", "0.7")),
            ("heads.age.loss.class_weights={name: explicit, values: [1, 2]}", ("heads.age", "must be 3", "found 2")),
            ("device=gpu", ("device", "'gpu'")),
            ("data.root=/nowhere", ("/nowhere",)),
            (
                "labels.tasks.mask.per_group=true",
                ("labels.tasks.mask.per_group", "12 groups have images with different"),
            ),
            ("labels.tasks.gender.per_group=1", ("labels.tasks.gender.per_group", "true or false", "1")),
            ("labels.tasks.hat={classes: [a, b]}", ("labels.tasks.hat", "mask")),
            ("nothing", ("--set nothing", "key=value")),
            ("training.lr=[1", ("--set training.lr", "YAML")),
        ],
    )
    def test_is_refused_before_anything_is_done(
        self, call: Call, config_file: Callable[..., Path], tmp_path: Path, setting: str, parts: tuple[str, ...]
    ) -> None:
        line = call("train", config_file(), "--set", setting, "--out", tmp_path / "run").refusal()
        for part in parts:
            assert part in line, line
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("folds", "setting", "parts"),
        [
            (1, "seed=0", ("--folds", "at least 2", "found 1")),
            (-3, "seed=0", ("--folds", "found -3")),
            (3, "data.folds=3", ("data.folds", "--folds 3", "leave it out")),
            (3, "data.val_fraction=0.1", ("data.val_fraction", "0.1", "--folds 3", "--set data.val_fraction=0.2")),
            (3, "data.val_fraction=0", ("data.val_fraction", "--folds 3")),
            (13, "seed=0", ("data.folds", "12 groups")),
        ],
    )
    def test_folds_that_cannot_be(
        self,
        call: Call,
        config_file: Callable[..., Path],
        tmp_path: Path,
        folds: int,
        setting: str,
        parts: tuple[str, ...],
    ) -> None:
        config = config_file({"data.val_fraction": 0.2})
        line = call("train", config, "--folds", folds, "--set", setting, "--out", tmp_path / "run").refusal()
        for part in parts:
            assert part in line, line
        assert not (tmp_path / "run").exists()

    def test_missing_file(self, call: Call, tmp_path: Path) -> None:
        assert call("train", tmp_path / "no.yaml").refusal() == f"{tmp_path / 'no.yaml'}: no such file"

    def test_not_yaml(self, call: Call, tmp_path: Path) -> None:
        path = tmp_path / "bad.yaml"
        path.write_text("labels: [\nseed: 1")
        line = call("config", path).refusal()
        assert str(path) in line
        assert "line 2" in line


class TestTrainingData:
    def refused(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> str:
        out = tmp_path / "run"
        line: str = call("train", config_file({"data.root": str(data)}), "--out", out).refusal()
        assert not out.exists()
        return line

    def test_missing_table(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> None:
        (data / "train" / "train.csv").unlink()
        assert "train.csv: no such file" in self.refused(call, config_file, data, tmp_path)

    @pytest.mark.parametrize(
        ("column", "value", "parts"),
        [
            ("gender", "femal", ("line 2", "gender", "'femal'", "'female'")),
            ("age", "old", ("line 2", "age", "number", "'old'")),
            ("age", "nan", ("line 2", "age", "number")),
            ("path", "../../outside", ("line 2", "path", "leaves the data root")),
            ("path", "/etc", ("line 2", "path", "/etc")),
            ("path", "000009_nobody", ("line 2", "000009_nobody")),
        ],
    )
    def test_wrong_cell(
        self,
        call: Call,
        config_file: Callable[..., Path],
        data: Path,
        tmp_path: Path,
        column: str,
        value: str,
        parts: tuple[str, ...],
    ) -> None:
        def change(rows: list[list[str]]) -> None:
            rows[1][rows[0].index(column)] = value

        edit_csv(data / "train" / "train.csv", change)
        line = self.refused(call, config_file, data, tmp_path)
        for part in ("train.csv", *parts):
            assert part in line, line

    def test_missing_column(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> None:
        edit_csv(data / "train" / "train.csv", lambda rows: rows[0].__setitem__(rows[0].index("gender"), "sex"))
        assert "no column 'gender'" in self.refused(call, config_file, data, tmp_path)

    def test_ragged_row(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> None:
        edit_csv(data / "train" / "train.csv", lambda rows: rows[2].pop())
        line = self.refused(call, config_file, data, tmp_path)
        assert "line 3" in line
        assert "found 4" in line

    def test_no_image(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> None:
        next(first_person(data).glob("mask3.*")).unlink()
        line = self.refused(call, config_file, data, tmp_path)
        assert "'mask3'" in line
        assert "found none" in line

    def test_two_of_one_image(self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path) -> None:
        image = next(first_person(data).glob("mask3.*"))
        twin = image.with_suffix(".png" if image.suffix != ".png" else ".jpg")
        shutil.copy(image, twin)
        line = self.refused(call, config_file, data, tmp_path)
        assert image.name in line
        assert twin.name in line

    @pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
    @pytest.mark.parametrize("cache", ["memory", "none"])
    def test_unreadable_image(
        self, call: Call, config_file: Callable[..., Path], data: Path, tmp_path: Path, damage: str, cache: str
    ) -> None:
        image = next(first_person(data).glob("mask3.*"))
        content = image.read_bytes()
        image.write_bytes({"truncated": content[: len(content) // 2], "text": b"no image", "empty": b""}[damage])
        config = config_file({"data.root": str(data), "data.cache": cache, "data.val_fraction": 0})
        line = call("train", config, "--out", tmp_path / "run").refusal()
        assert str(image) in line
        assert "cannot be read as an image" in line


class TestPredict:
    @pytest.fixture
    def out(self, tmp_path: Path) -> Iterator[Path]:
        """A submission from before, which must stand."""
        path = tmp_path / "submission.csv"
        path.write_text("from before")
        yield path
        assert path.read_text() == "from before"
        assert not [other for other in tmp_path.iterdir() if other.name.endswith(".part")]

    def test_missing_image(self, call: Call, trained: Path, data: Path, out: Path) -> None:
        gone = sorted((data / "eval" / "images").iterdir())[3]
        gone.unlink()
        assert str(gone) in call("predict", trained, "--data", data, "-o", out).refusal()

    def test_unreadable_image(self, call: Call, trained: Path, data: Path, out: Path) -> None:
        bad = sorted((data / "eval" / "images").iterdir())[3]
        bad.write_bytes(b"no image")
        line = call("predict", trained, "--data", data, "-o", out).refusal()
        assert str(bad) in line
        assert "not an image" in line

    def test_missing_list(self, call: Call, trained: Path, data: Path, out: Path) -> None:
        (data / "eval" / "info.csv").unlink()
        assert "info.csv: no such file" in call("predict", trained, "--data", data, "-o", out).refusal()

    def test_path_that_leaves_the_root(self, call: Call, trained: Path, data: Path, out: Path) -> None:
        edit_csv(data / "eval" / "info.csv", lambda rows: rows[1].__setitem__(0, "../../train/train.csv"))
        line = call("predict", trained, "--data", data, "-o", out).refusal()
        assert "line 2" in line
        assert "leaves the data root" in line

    def test_folder_that_is_not_there(self, call: Call, trained: Path, drawn: Path, tmp_path: Path) -> None:
        line = call("predict", trained, "--data", drawn, "-o", tmp_path / "no" / "file.csv").refusal()
        assert "no folder" in line


class TestRunFolder:
    def test_an_existing_run_is_left_alone(self, call: Call, config_file: Callable[..., Path], copied: Path) -> None:
        before = snapshot(copied)
        assert "--resume" in call("train", config_file(), "--out", copied).refusal()
        assert snapshot(copied) == before

    def test_a_folder_of_something_else_is_left_alone(
        self, call: Call, config_file: Callable[..., Path], tmp_path: Path
    ) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "thesis.txt").write_text("all of it")
        for flags in ((), ("--resume",)):
            assert "no run folder" in call("train", config_file(), "--out", folder, *flags).refusal()
        assert snapshot(folder) == {"thesis.txt": b"all of it"}

    def test_resume_with_other_settings(self, call: Call, copied: Path) -> None:
        before = snapshot(copied)
        config = copied / "config.yaml"
        line = call("train", config, "--set", "training.lr=0.5", "--out", copied, "--resume").refusal()
        assert "training.lr" in line
        assert "0.5" in line
        assert snapshot(copied) == before

    def test_resume_needs_out(self, call: Call, config_file: Callable[..., Path]) -> None:
        assert "--out" in call("train", config_file(), "--resume").refusal()

    @pytest.mark.parametrize("name", ["best", "last"])
    @pytest.mark.parametrize("damage", ["truncated", "flipped", "text"])
    def test_damaged_checkpoint(self, call: Call, copied: Path, name: str, damage: str) -> None:
        path = copied / "checkpoints" / f"{name}.safetensors"
        content = bytearray(path.read_bytes())
        content[-9] ^= 255
        path.write_bytes({"truncated": content[:-100], "flipped": content, "text": b"no checkpoint"}[damage])
        before = snapshot(copied)
        words = (
            ("evaluate", copied) if name == "best" else ("train", copied / "config.yaml", "--out", copied, "--resume")
        )
        line = call(*words).refusal()
        assert str(path) in line
        assert "damaged" in line
        assert snapshot(copied) == before

    @pytest.mark.parametrize("command", ["evaluate", "report"])
    def test_no_run(self, call: Call, tmp_path: Path, command: str) -> None:
        assert "is no run folder" in call(command, tmp_path).refusal()

    def test_compare_needs_two_of_a_kind(self, call: Call, trained: Path) -> None:
        assert "two runs" in call("compare", trained).refusal()

    def test_runs_of_no_folder(self, call: Call, tmp_path: Path) -> None:
        assert "no such folder" in call("runs", tmp_path / "no").refusal()


class TestSynth:
    @pytest.mark.parametrize(
        ("words", "part"),
        [
            (("--people", 0), "people"),
            (("--people", 3, "--noise", 1.5), "noise"),
            (("--people", 3, "--seed", -1), "seed"),
        ],
    )
    def test_impossible_numbers(self, call: Call, tmp_path: Path, words: tuple[object, ...], part: str) -> None:
        assert part in call("synth", tmp_path / "set", *words).refusal()
        assert not (tmp_path / "set").exists()

    def test_a_folder_with_something_in_it(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        assert "already exists" in call("synth", tmp_path, "--people", 2).refusal()
        assert call("demo", "--out", tmp_path).refusal() == f"{tmp_path}: already exists; name another --out"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class TestFullDisk:
    def test_training_says_so_and_leaves_no_half_file(
        self, call: Call, config_file: Callable[..., Path], small_disk: Path
    ) -> None:
        line = call("train", config_file(), "--out", small_disk / "run").refusal()
        assert "No space left on device" in line
        assert str(small_disk / "run") in line
        assert not [path for path in small_disk.rglob("*") if path.name.endswith(".part")]

    def test_an_old_submission_stands(self, call: Call, trained: Path, drawn: Path, small_disk: Path) -> None:
        out = small_disk / "submission.csv"
        out.write_text("from before")
        with (small_disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        line = call("predict", trained, "--data", drawn, "-o", out).refusal()
        assert f"{out}: No space left on device" in line
        assert out.read_text() == "from before"


def test_a_loss_that_is_no_number_names_head_and_step_and_keeps_the_last_epoch(
    call: Call, config_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multitask.losses import CrossEntropySettings

    config = config_file({"training.epochs": 3, "training.batch_size": 32})
    calls = 0
    plain = CrossEntropySettings.per_class

    def breaks(self: CrossEntropySettings, log_probs: Any) -> Any:
        nonlocal calls
        calls += 1
        batches = 2 * 3  # of the first epoch, three heads each
        return plain(self, log_probs) * (float("nan") if calls == batches + 5 else 1.0)

    monkeypatch.setattr(CrossEntropySettings, "per_class", breaks)
    out = tmp_path / "run"
    line = call("train", config, "--out", out).refusal()
    assert line.startswith("heads.gender: the loss is nan at batch 2 of epoch 2")
    monkeypatch.undo()
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 1
    assert call("train", config, "--out", out, "--resume", "-q").code == 0
