"""Several runs as one: which may be members, what they answer together, everywhere where a run is taken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.inference.explain.explainer import Explainer
from multitask.inference.export.export import export
from multitask.inference.predictor import Predictor
from multitask.inference.serve.answers import load_answerer
from multitask.labels import JOINT, LabelSpace, Task
from multitask.progress import Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.ensemble import make_ensemble, space_difference
from multitask.runs.ensemble_parts import ensemble_form, ensemble_parts, read_ensemble
from multitask.runs.ensemble_report import common_answers
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.mixture import Mixture, in_form, mixed
from multitask.runs.page import write_page
from multitask.runs.predict import write_submission
from multitask.runs.run import run

MakeConfig = Callable[..., Config]
ONE = {"training.epochs": 1}


@pytest.fixture(scope="module")
def runs(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished runs that differ in all that may differ; not to be written to."""
    root = tmp_path_factory.mktemp("runs")
    run_folds(tiny({**ONE, "data.val_fraction": 0.2}), 2, root / "folds")
    flat = {"model.sharing.name": "flat", "data.image_size": [24, 24], "data.crop.name": "centre", "seed": 1}
    run(tiny({**ONE, **flat, "augment.flip": False}), root / "flat")
    termed = {"joint.weight": 1.0, "model.backbone.mean": [0.1, 0.2, 0.3], "data.split_seed": 1}
    run(tiny({**ONE, **termed}), root / "termed")
    return root


@pytest.fixture(scope="module")
def made(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of all of them; not to be written to."""
    out = tmp_path_factory.mktemp("made") / "all"
    make_ensemble([runs / "folds", runs / "flat", runs / "termed"], out)
    return out


@pytest.fixture
def images(drawn: Path) -> list[Path]:
    return sorted(drawn.rglob("*.jpg"))[:40]


def read(folder: RunFolder, config: Config, split: str = "val") -> Predictions:
    return Predictions.from_csv(folder.predictions(split), config.space(), config.learned_space())


# --- what it is fitted and scored on --------------------------------------------------------------------------------


def test_images_are_those_that_no_member_trained_on(made: Path, runs: Path) -> None:
    found = read(*read_run(made))
    expected = set(read(*read_run(runs / "flat")).images) & set(read(*read_run(runs / "termed")).images)
    assert set(found.images) == expected
    assert len(found) == len(expected) > 0
    for name in ("flat", "termed"):
        rows = [line.split(",") for line in (runs / name / "split.csv").read_text().splitlines()[1:]]
        assert {row[2] for row in rows if row[0] in expected} == {"val"}


def test_weights_are_convex_and_those_of_all_images_are_kept(made: Path) -> None:
    trained = read_run(made)
    record = read_ensemble(trained.folder)
    assert (record.vote, record.weighting, record.base) == ("soft", "fitted", 2)
    assert set(record.weights) == {"mask", "gender", "age", JOINT}
    for row in record.weights.values():
        assert sum(row) == pytest.approx(1)
    answers = common_answers(ensemble_parts(trained), record.base)
    mixture = Mixture.of(answers, ensemble_form(trained.config), "soft", "fitted", 0)
    for name, row in mixture.weights().items():
        assert row == pytest.approx(record.weights[name])


def test_a_group_is_answered_by_weights_of_other_groups(made: Path) -> None:
    trained = read_run(made)
    answers = common_answers(ensemble_parts(trained), 2)
    mixture = Mixture.of(answers, ensemble_form(trained.config), "soft", "fitted", 0)
    before = mixture.predictions()
    fold = np.flatnonzero(mixture.folds == mixture.folds[0])
    for part in mixture.members:  # its own labels, changed, change nothing of its answers
        part.labels[fold] = 1 - np.minimum(part.labels[fold], 1)
    after = replace(mixture, members=mixture.members).predictions()
    for name, values in before.tables().items():
        torch.testing.assert_close(after.tables()[name][fold], values[fold])
    others = np.setdiff1d(np.arange(len(before)), fold)
    assert any(
        not torch.equal(after.tables()[name][others], values[others]) for name, values in before.tables().items()
    )


def test_report_puts_each_member_beside_the_whole(made: Path, runs: Path) -> None:
    trained = read_run(made)
    report = trained.folder.read_report()
    found = report.ensemble
    assert found is not None
    assert [row.name for row in found.members] == ["folds", "flat", "termed"]
    for place, row in enumerate(found.members):
        own = read(*ensemble_parts(trained)[place])
        places = {image: index for index, image in enumerate(own.images)}
        common = own.take(np.array([places[image] for image in read(*trained).images]))
        assert row.log_loss[JOINT] == pytest.approx(
            -float(common.joint_log_probs()[range(len(common)), common.classes].mean()), rel=1e-5
        )
        assert row.macro_f1_difference == pytest.approx(report.joint.macro_f1 - row.macro_f1)
        assert row.weights["age"] == pytest.approx(read_ensemble(trained.folder).weights["age"][place])
    assert found.best_member.macro_f1 == max(row.macro_f1 for row in found.members)
    assert found.best in found.sentence
    assert report.training.backbone == "test_resnet"
    assert report.training.sharing == "shared + flat"
    assert report.training.num_epochs == 4
    assert report.decode_rules is not None
    page = write_page(trained, "val").read_text(encoding="utf-8")
    assert "Member by member" in page
    assert "weight, gender" in page


def test_evaluated_again_it_is_the_same(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "all"))
    before = {name: (copy / name).read_bytes() for name in ("report.json", "decode.json", "predictions-val.csv")}
    evaluate(read_run(copy), "val", Progress())
    for name, content in before.items():
        if name != "report.json":
            assert (copy / name).read_bytes() == content, name
    again, first = RunFolder(copy).read_report(), RunFolder(made).read_report()
    assert (again.joint, again.ensemble) == (first.joint, first.ensemble)


# --- everywhere where a run is taken --------------------------------------------------------------------------------


def expected_of(made: Path, images: list[Path]) -> Predictions:
    """What the members answer alone, mixed."""
    trained = read_run(made)
    form, parts = ensemble_form(trained.config), []
    for part in ensemble_parts(trained):
        predictor = Predictor.load(part.folder.path)
        (batch,) = predictor.batches(images_of(images), len(images))
        outputs = predictor.engine.outputs(batch.pixels)
        num = len(images)
        parts.append(
            in_form(
                Predictions(
                    part.config.space(),
                    part.config.learned_space(),
                    np.array(list(map(str, images)), dtype=object),
                    np.array(list(map(str, images)), dtype=object),
                    np.zeros((num, 3), dtype=np.int64),
                    {name: torch.from_numpy(values) for name, values in outputs.heads.items()},
                    np.zeros(num, dtype=np.int64),
                    None if outputs.joint is None else torch.from_numpy(outputs.joint),
                ),
                form,
            )
        )
    return mixed(parts, read_ensemble(trained.folder).mixing)


def images_of(paths: list[Path]):
    from multitask.inference.stream import ImageInput

    return [ImageInput(str(path), path) for path in paths]


def test_the_network_of_tiles_answers_as_the_members_do_one_by_one(made: Path, images: list[Path]) -> None:
    predictor = Predictor.load(made)
    assert predictor.spec.tiles is not None
    assert predictor.spec.image_size == (32, 24 + 24)
    assert not predictor.spec.flip
    (batch,) = predictor.batches(images_of(images), len(images))
    found, expected = predictor.engine.outputs(batch.pixels), expected_of(made, images)
    for name, values in expected.tables().items():
        np.testing.assert_allclose(np.exp(found.tables()[name]), values.exp().numpy(), atol=1e-5, err_msg=name)


def test_one_exported_file_answers_the_same(made: Path, images: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    export(read_run(made), tmp_path / "all.onnx")
    found = Predictor.load(tmp_path / "all.onnx", engine="onnxruntime").predict(images)
    expected = Predictor.load(made, engine="torch").predict(images)
    np.testing.assert_array_equal(found.predicted, expected.predicted)
    np.testing.assert_allclose(found.class_probs, expected.class_probs, atol=1e-5)


def test_a_submission_is_the_predictor_s(made: Path, drawn: Path, tmp_path: Path) -> None:
    trained = read_run(made)
    out = tmp_path / "answers.csv"
    write_submission(trained, drawn, out, Progress())
    queries = trained.config.data.source.queries(drawn)
    found = Predictor.load(made).predict(list(queries.paths))
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert [int(row[1]) for row in rows] == found.predicted.tolist()


def test_evaluates_other_images_with_known_answers(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "all"))
    report = evaluate(read_run(copy), "eval", Progress())
    assert report.num_groups == 3
    assert report.ensemble is None
    with pytest.raises(UserError, match="take val or test"):
        evaluate(read_run(copy), "train", Progress())


def test_what_has_no_meaning_for_it_is_a_line(made: Path, drawn: Path) -> None:
    with pytest.raises(UserError, match="is an ensemble of runs; explain one of them"):
        Explainer.load(made)
    with pytest.raises(UserError, match="in different sizes or crops"):
        Predictor.load(made, views=("flip",) if Predictor.load(made).spec.flip else ("shift",))
    with pytest.raises(UserError, match="holds an ensemble"):
        run(read_run(made).config, made, resume=True)
    answer = load_answerer(made).answer(next(drawn.rglob("*.jpg")).read_bytes())
    assert [row["head"] for row in answer["heads"]] == ["class", "mask", "gender", "age"]


# --- which members, and how they are mixed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "heads"),
    [
        (("folds", "flat"), ["age", "gender", JOINT, "mask"]),
        (("folds", "branch"), ["age", "gender", "mask"]),
        (("flat", "flat2"), ["class"]),
    ],
)
def test_outputs_are_the_richest_that_the_members_need(
    names: tuple[str, str], heads: list[str], runs: Path, tiny: MakeConfig, tmp_path: Path, images: list[Path]
) -> None:
    paths = []
    for name in names:
        path = runs / name
        if not path.exists():
            path = tmp_path / name
            if name == "flat2":
                shutil.copytree(runs / "flat", path)
            else:
                run(tiny({**ONE, "model.sharing.name": name, "model.sharing.at": "layer2"}), path)
        paths.append(path)
    report = make_ensemble(paths, tmp_path / "made")
    assert report.ensemble is not None
    assert sorted(report.ensemble.members[0].weights) == heads
    assert len(Predictor.load(tmp_path / "made").predict(images[:2])) == 2


def test_equal_weights_and_votes(runs: Path, tmp_path: Path, images: list[Path]) -> None:
    paths = [runs / "folds", runs / "flat", runs / "termed"]
    equal = make_ensemble(paths, tmp_path / "equal", weighting="equal")
    assert {value for row in read_ensemble(RunFolder(tmp_path / "equal")).weights.values() for value in row} == {1 / 3}
    assert equal.ensemble is not None
    assert equal.ensemble.log_loss == equal.ensemble.equal_log_loss
    hard = make_ensemble(paths, tmp_path / "hard", vote="hard")
    assert hard.ensemble is not None
    assert (hard.ensemble.vote, hard.ensemble.weighting) == ("hard", "equal")
    folder, config = read_run(tmp_path / "hard")
    votes = [
        part.task_log_probs()["age"].argmax(dim=1).numpy()
        for part in common_answers(ensemble_parts(TrainedRun(folder, config)), 2)
    ]
    found = read(folder, config).log_probs["age"].argmax(dim=1).numpy()
    agreed = (votes[0] == votes[1]) | (votes[0] == votes[2])
    np.testing.assert_array_equal(found[agreed], votes[0][agreed])


def test_flat_runs_that_learned_from_partial_labels_are_one(drawn: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    sources = {
        "people": {"root": str(drawn), "source": {"name": "competition"}},
        "others": {"root": str(drawn), "source": {"name": "competition"}, "tasks": ["gender", "age"]},
    }
    several = {"name": "several", "target": "people", "sources": sources}
    paths = [tmp_path / "one", tmp_path / "two"]
    for seed, path in enumerate(paths):
        flat = {"model.sharing.name": "flat", "seed": seed, "data.split_seed": 0}
        run(tiny({**ONE, **flat, "data.root": "", "data.source": several}), path)
    report = make_ensemble(paths, tmp_path / "made")
    assert report.joint.macro_f1 is not None


def test_no_common_group_is_a_line(runs: Path, tmp_path: Path) -> None:
    halves = [Path(shutil.copytree(runs / "flat", tmp_path / name)) for name in ("one", "two")]
    header, *rows = (runs / "flat" / "predictions-val.csv").read_text().splitlines()
    for half, part in zip(halves, (rows[:7], rows[7:]), strict=True):
        (half / "predictions-val.csv").write_text("\n".join([header, *part, ""]))
    with pytest.raises(UserError, match=r"no image was unseen by all members .*training images flatter"):
        make_ensemble(halves, tmp_path / "out")
    (halves[1] / "predictions-val.csv").write_text("\n".join([header, *rows[:7], ""]))
    with pytest.raises(UserError, match="needs two groups with labels"):
        make_ensemble(halves, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def rewritten(path: Path, to: Path, change: Callable[[str], str]) -> Path:
    """A copy of a run with another config."""
    shutil.copytree(path, to)
    text = (to / "config.yaml").read_text()
    assert change(text) != text
    (to / "config.yaml").write_text(change(text))
    return to


def test_bad_members_are_a_line_and_nothing_is_written(runs: Path, made: Path, tmp_path: Path) -> None:
    folds, flat, out = runs / "folds", runs / "flat", tmp_path / "out"

    def refused(pattern: str, *paths: Path, to: Path = out) -> None:
        with pytest.raises(UserError, match=pattern) as caught:
            make_ensemble(paths, to)
        assert "\n" not in str(caught.value)
        assert not out.exists()

    refused("needs two runs or more", folds)
    refused("is named twice", folds, flat, runs / "x" / ".." / "folds")
    refused("is no run folder", folds, tmp_path / "nothing")
    refused("exists already", folds, flat, to=made)
    refused("is in the folder of", folds, flat, to=folds / "folds" / "all")
    refused("is an ensemble itself", folds, made)
    unfinished = Path(shutil.copytree(flat, tmp_path / "unfinished"))
    (unfinished / "report.json").unlink()
    refused("is not finished", folds, unfinished)
    torn = Path(shutil.copytree(folds, tmp_path / "torn"))
    (torn / "folds" / "0" / "report.json").unlink()
    refused("fold 0 of 2 is not finished", torn, flat)
    other = rewritten(flat, tmp_path / "other", lambda text: text.replace("[wear, ", "[worn, "))
    refused(r"task mask has the labels worn, .* not the wear", folds, other)
    final = rewritten(
        flat,
        tmp_path / "final",
        lambda text: text.replace("val_fraction: 0.3", "val_fraction: 0.0") + f"final: {folds}\n",
    )
    refused("all groups trained it", folds, final)
    (torn / "folds" / "0" / "report.json").write_bytes((folds / "folds" / "0" / "report.json").read_bytes())
    (torn / "data.json").write_text("{")
    refused("is damaged", torn, flat)
    (final / "checkpoints" / "best.safetensors").unlink()
    (final / "config.yaml").write_bytes((flat / "config.yaml").read_bytes())
    refused("best.safetensors: no such checkpoint", folds, final)


def test_first_difference_of_label_spaces() -> None:
    one = LabelSpace([Task("a", ("x", "y")), Task("b", ("u", "v"))])
    assert space_difference(one, one) is None
    assert "has the tasks b, a" in (space_difference(LabelSpace([*one.tasks][::-1]), one) or "")
    barred = LabelSpace(one.tasks, impossible=[{"a": "x", "b": "u"}])
    assert "class x/u is possible in one" in (space_difference(barred, one) or "")


def test_heads_and_a_flat_head_answer_together_where_no_image_has_all_labels(tiny: MakeConfig, tmp_path: Path) -> None:
    rows = ["path,mask,gender,age,person"]
    for place in range(24):
        Image.new("RGB", (24, 24), (9 * place, 0, 0)).save(tmp_path / f"{place}.png")
        labels = (
            f",{('male', 'female')[place // 2 % 2]}," if place % 2 else f"{('wear', 'incorrect')[place // 2 % 2]},,40"
        )
        rows.append(f"{place}.png,{labels},{place}")
    (tmp_path / "train.csv").write_text("\n".join(rows))
    partial = {**ONE, "data.root": str(tmp_path), "data.source": {"name": "table", "group": "person"}}
    run(tiny(partial), tmp_path / "heads")
    run(tiny({**partial, "model.sharing.name": "flat"}), tmp_path / "flat")
    report = make_ensemble([tmp_path / "heads", tmp_path / "flat"], tmp_path / "all")
    assert report.joint.num_images == 0
    assert report.tasks["gender"].num_images > 0
