"""A soup of runs: an ordinary run whose weights are the mean of others'."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import epoch_scores
from multitask.inference.predictor import Predictor
from multitask.progress import Progress
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.run import run
from multitask.runs.soup import Trials, make_soup
from multitask.training.checkpoint import load_checkpoint, save_checkpoint

MakeConfig = Callable[..., Config]
ONE = {"training.epochs": 1, "data.split_seed": 0}


@pytest.fixture(scope="module")
def runs(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two finished runs of one family; not to be written to."""
    root = tmp_path_factory.mktemp("runs")
    for name, lr in (("a", 1e-3), ("b", 3e-3)):
        run(tiny({**ONE, "training.lr": lr, "decode.name": "head_bias"}), root / name)
    return [root / "a", root / "b"]


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_checkpoint(RunFolder(path).best)["network"]
    return found


def log_loss(path: Path) -> float:
    folder, config = read_run(path)
    predictions = Predictions.from_csv(folder.predictions(), config.space(), config.learned_space())
    found = epoch_scores(predictions).loss
    assert found is not None
    return found


def test_uniform_is_the_mean_and_a_run_like_any_other(runs: list[Path], drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "soup"
    report = make_soup(runs, out, rule="uniform")
    found, one, two = (weights(path) for path in (out, *runs))
    for name, values in found.items():
        if values.is_floating_point():
            torch.testing.assert_close(values, (one[name] + two[name]) / 2)
    assert report.soup is not None
    assert report.soup.kept == report.soup.members == tuple(map(str, runs))
    assert (report.soup.batch_norm, report.soup.losses, report.training.num_epochs) == ("average", None, 2)
    assert report.num_groups == RunFolder(runs[0]).read_report().num_groups
    assert Predictor.load(out).predict(next(drawn.rglob("*.jpg"))).class_name
    again = evaluate(read_run(out), "val", Progress())
    assert (again.joint, again.soup, again.training) == (report.joint, report.soup, report.training)
    with pytest.raises(UserError, match="holds a soup of runs"):
        run(read_run(out).config, out, resume=True)


def test_greedy_is_never_worse_than_its_best_member_on_what_picks(runs: list[Path], tmp_path: Path) -> None:
    bad = RunFolder(Path(shutil.copytree(runs[0], tmp_path / "bad")))
    noise = torch.Generator().manual_seed(0)
    save_checkpoint(
        bad.best,
        {
            "epoch": 0,
            "network": {
                name: values + torch.randn(values.shape, generator=noise) if values.ndim == 2 else values
                for name, values in weights(bad.path).items()
            },
        },
    )
    report = make_soup([bad.path, *runs], tmp_path / "soup", batch_norm="estimate")
    facts = report.soup
    assert facts is not None
    assert facts.losses is not None
    assert facts.batch_norm == "estimate"
    assert str(bad.path) not in facts.kept
    assert log_loss(tmp_path / "soup") <= min(map(log_loss, runs)) + 1e-4
    assert "which flatters" in facts.sentence


def test_the_report_is_of_the_run_that_the_soup_is_based_on(runs: list[Path], tiny: MakeConfig, tmp_path: Path) -> None:
    run(tiny({**ONE, "data.train_groups": 2}), tmp_path / "few")
    worst, best = sorted([runs[0], tmp_path / "few"], key=log_loss, reverse=True)
    report = make_soup([worst, best], tmp_path / "soup")
    assert report.soup is not None
    assert report.soup.kept[0] == str(best)
    assert report.class_distribution["train"] == RunFolder(best).read_report().class_distribution["train"]


def test_what_is_no_family_is_a_line_and_nothing_is_written(runs: list[Path], tiny: MakeConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def refused(pattern: str, other: Path) -> None:
        with pytest.raises(UserError, match=pattern):
            make_soup([runs[0], other], out)
        assert not out.exists()

    run(tiny({**ONE, "data.image_size": [24, 24]}), tmp_path / "small")
    refused("data.image_size is", tmp_path / "small")
    other = Path(shutil.copytree(runs[1], tmp_path / "other"))
    config = read_run(other).config.with_changes({"heads.age.loss": {"name": "logit_adjusted"}})
    (other / "config.yaml").write_text(config.to_yaml())
    refused("its loss of age weights or adjusts", other)
    config = read_run(runs[1]).config.with_changes({"data.sampler": {"name": "class_weighted"}})
    (other / "config.yaml").write_text(config.to_yaml())
    refused("its data.sampler draws the labels of mask otherwise", other)
    run(tiny({**ONE, "data.split_seed": 1}), tmp_path / "split")
    refused("validated on other images", tmp_path / "split")
    run_folds(tiny({"training.epochs": 1, "data.val_fraction": 0.2}), 2, tmp_path / "folds")
    refused("is in folds", tmp_path / "folds")
    torn = Path(shutil.copytree(runs[1], tmp_path / "torn"))
    (torn / "checkpoints" / "best.safetensors").write_bytes(b"no")
    refused("is damaged", torn)
    refused("is named twice", runs[0])


def test_a_soup_is_judged_by_its_own_weights_alone(tiny: MakeConfig, tmp_path: Path) -> None:
    options = {"embed_dim": [16, 16, 16], "key_dim": 8, "num_heads": [1, 1, 1], "depth": [1, 1, 1]}
    changes = {"model.backbone.name": "levit_128s", "model.backbone.options": options, "data.image_size": [32, 32]}
    run(
        tiny({**ONE, **changes}), tmp_path / "levit"
    )  # in evaluation mode it keeps what it makes of its position biases
    trials = Trials.of([read_run(tmp_path / "levit")] * 2, "average", Progress())
    for name, values in trials.states[1].items():
        if "attention_biases" in name:
            values.normal_(generator=torch.Generator().manual_seed(0))
    one, other, again = (trials.predict([index]).log_probs["mask"] for index in (0, 1, 0))
    assert not torch.equal(one, other)
    assert torch.equal(again, one)
