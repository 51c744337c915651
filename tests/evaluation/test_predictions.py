from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from multitask.data.batch import Batch
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions, predict
from multitask.labels import MISSING, LabelSpace, Task

SPACE = LabelSpace(
    [Task("age", ("<30", "30-60", ">=60")), Task("type", ('a "b", c', "NA")), Task("odd", ("x=y", " padded", "ünï"))],
    [{"age": ">=60", "type": "NA", "odd": "ünï"}],
)

COLUMNS = ("images", "groups", "labels", "log_probs", "predicted")


def make(learned: LabelSpace = SPACE, rows: int = 12, seed: int = 0) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    log_probs = {
        task.name: torch.randn(rows, task.num_classes, generator=generator).double().log_softmax(dim=1)
        for task in learned.tasks
    }
    rng = np.random.default_rng(seed)
    labels = SPACE.decode(rng.choice(np.flatnonzero(SPACE.possible), size=rows))
    labels[1, 0] = labels[2] = MISSING
    images = np.array([f'some "folder", {i}/mask1.jpg' for i in range(rows)], dtype=object)
    groups = np.array([["000020", "NA", 'x, "y"', "nan"][i % 4] for i in range(rows)], dtype=object)
    predicted = learned.joint_log_probs(log_probs).argmax(dim=1).numpy()
    return Predictions(SPACE, learned, images, groups, labels, log_probs, predicted)


@pytest.mark.parametrize("learned", [SPACE, SPACE.flattened()], ids=["shared", "flat"])
def test_table_goes_round(learned: LabelSpace, tmp_path: Path) -> None:
    one = make(learned)
    path = tmp_path / "predictions.csv"
    path.write_text(one.to_csv(), encoding="utf-8")
    other = Predictions.from_csv(path, SPACE, learned)
    assert other.images.tolist() == one.images.tolist()
    assert other.groups.tolist() == one.groups.tolist()
    assert other.labels.tolist() == one.labels.tolist()
    assert other.predicted.tolist() == one.predicted.tolist()
    for name, values in one.log_probs.items():
        assert torch.allclose(other.log_probs[name], values, atol=1e-7)
    again = tmp_path / "again.csv"
    again.write_text(other.to_csv(), encoding="utf-8")
    assert again.read_bytes() == path.read_bytes()


def test_table_says_what_it_holds() -> None:
    one = make()
    rows = list(csv.DictReader(io.StringIO(one.to_csv())))
    assert list(rows[0])[:7] == ["image", "group", "age", "type", "odd", "class", "predicted"]
    assert rows[0]["class"] == SPACE.class_names[one.classes[0]]
    assert rows[2]["age"] == rows[2]["class"] == rows[1]["age"] == rows[1]["class"] == ""
    assert rows[1]["type"] != ""
    assert float(rows[3]["p(age=>=60)"]) == pytest.approx(float(one.log_probs["age"][3, 2].exp()), rel=1e-8)


def test_probability_of_0_goes_round_without_a_warning(tmp_path: Path) -> None:
    one = make()
    one.log_probs["age"][0] = torch.tensor([0.0, -1000.0, -2000.0])
    path = tmp_path / "predictions.csv"
    path.write_text(one.to_csv(), encoding="utf-8")
    other = Predictions.from_csv(path, SPACE, SPACE)
    assert other.log_probs["age"][0].tolist() == [0.0, -torch.inf, -torch.inf]
    assert torch.isfinite(other.joint_log_probs().exp()).all()


def test_missing_file_and_other_label_space_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with pytest.raises(UserError, match="no such file; `multitask evaluate` writes it"):
        Predictions.from_csv(path, SPACE, SPACE)
    path.write_text(make().to_csv(), encoding="utf-8")
    other = LabelSpace([Task("age", ("young", "old"))])
    for content in (path.read_text(encoding="utf-8"), "", "image,group\n", "\0\n\0", "image,group,age\na,b,middle\n"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=f"^{path}: holds no predictions of this label space") as caught:
            Predictions.from_csv(path, other, other)
        assert "\n" not in str(caught.value)


def test_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(make().to_csv().replace("<30,", "<29,", 1), encoding="utf-8")
    with pytest.raises(UserError, match="holds no predictions of this label space"):
        Predictions.from_csv(path, SPACE, SPACE)


def test_flat_heads_task_probabilities_are_its_marginals() -> None:
    one = make(SPACE.flattened())
    joint = one.joint_log_probs().exp().numpy().reshape(-1, *SPACE.sizes)
    assert one.joint_log_probs().exp().sum(dim=1).numpy() == pytest.approx(np.ones(12))
    tasks = {name: values.exp().numpy() for name, values in one.task_log_probs().items()}
    assert tasks["age"] == pytest.approx(joint.sum(axis=(2, 3)))
    assert tasks["type"] == pytest.approx(joint.sum(axis=(1, 3)))
    assert tasks["odd"] == pytest.approx(joint.sum(axis=(1, 2)))


def rows(whole: Predictions, start: int, end: int) -> Predictions:
    some = slice(start, end)
    return Predictions(
        whole.space,
        whole.learned,
        whole.images[some],
        whole.groups[some],
        whole.labels[some],
        {name: values[some] for name, values in whole.log_probs.items()},
        whole.predicted[some],
    )


@pytest.mark.parametrize("learned", [SPACE, SPACE.flattened()], ids=["shared", "flat"])
def test_parts_concatenated_are_the_whole(learned: LabelSpace) -> None:
    whole = make(learned)
    joined = Predictions.concatenate([rows(whole, 0, 5), rows(whole, 5, 6), rows(whole, 6, 12)])
    assert joined.to_csv() == whole.to_csv()
    assert Predictions.concatenate([whole]).to_csv() == whole.to_csv()


def test_parts_that_share_an_image_or_differ_in_label_space_are_refused() -> None:
    whole = make()
    with pytest.raises(UserError, match=r'the same images .* as of some "folder", 4/mask1\.jpg$'):
        Predictions.concatenate([rows(whole, 0, 5), rows(whole, 4, 12)])
    for other in (make(SPACE.flattened(), rows=24), make(rows=24)):
        if other.learned == SPACE:
            plain = LabelSpace(SPACE.tasks)
            other = Predictions(plain, plain, *(getattr(other, name) for name in COLUMNS))
        with pytest.raises(UserError, match="different label spaces"):
            Predictions.concatenate([rows(whole, 0, 5), rows(other, 12, 24)])


def test_groups_as_numbers() -> None:
    one = make()
    indices = one.group_indices()
    assert one.num_groups == 4
    assert sorted(set(indices.tolist())) == [0, 1, 2, 3]
    for number in range(4):
        assert len(set(one.groups[indices == number])) == 1


def test_predict_puts_batches_in_order_and_normalises_rows() -> None:
    images = torch.randint(0, 256, (5, 4, 4, 3), dtype=torch.uint8)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).eval()
    labels, weights = torch.zeros(5, 1, dtype=torch.int64), torch.ones(5)
    whole = Batch(images, labels, weights, torch.full((5, 1), torch.nan))
    parts = ((part[:3], part[3:]) for part in (whole.images, whole.labels, whole.weights, whole.numbers))
    batches = [Batch(*part) for part in zip(*parts, strict=True)]
    space = LabelSpace([Task("a", ("x", "y"))])
    preprocessing = Preprocessing((4, 4))
    with torch.inference_mode():
        found = predict(lambda x: {"a": network(x)}, batches, preprocessing, torch.device("cpu"), space)["a"]
        expected = network(preprocessing.normalise(images)).double().log_softmax(dim=1)
    assert found.dtype == torch.float64
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_joint_term_is_kept_in_the_table_and_joined(tmp_path: Path) -> None:
    plain = make()
    joint = torch.randn(len(plain), SPACE.num_classes, generator=torch.Generator().manual_seed(0)).double()
    joint = joint.masked_fill(torch.from_numpy(~SPACE.possible), -torch.inf).log_softmax(1)
    one = replace(plain, joint=joint)
    assert torch.equal(one.joint_log_probs(), joint)
    path = tmp_path / "predictions.csv"
    path.write_text(one.to_csv(), encoding="utf-8")
    header = next(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    names = [name for name in header if name.startswith("p(joint=")]
    assert len(names) == SPACE.possible.sum()
    assert f"p(joint={SPACE.class_names[int(np.argmin(SPACE.possible))]})" not in names  # what cannot occur
    other = Predictions.from_csv(path, SPACE, SPACE)
    assert other.joint is not None
    torch.testing.assert_close(other.joint.exp(), joint.exp(), atol=1e-8, rtol=1e-6)
    assert (other.outputs().scores().argmax(axis=0) == joint.argmax(1).numpy()).all()
    path.write_text(plain.to_csv(), encoding="utf-8")
    assert Predictions.from_csv(path, SPACE, SPACE).joint is None

    again = replace(one, images=np.array([f"b{name}" for name in one.images], dtype=object))
    joined = Predictions.concatenate([one, again]).joint
    assert joined is not None
    assert torch.equal(joined, torch.cat([joint, joint]))
    with pytest.raises(UserError, match="with and without a joint term cannot be joined"):
        Predictions.concatenate([one, replace(again, joint=None)])


@pytest.mark.parametrize("known", ["all", "some", "none"])
def test_raw_numbers_go_round(known: str, tmp_path: Path) -> None:
    numbers = np.full((12, 3), np.nan)
    numbers[:, 0] = {"all": np.linspace(0.25, 80, 12), "some": [58.5, *[np.nan] * 11], "none": np.nan}[known]
    one = replace(make(), numbers=numbers)
    path = tmp_path / "predictions.csv"
    path.write_text(one.to_csv(), encoding="utf-8")
    other = Predictions.from_csv(path, SPACE, SPACE)
    assert ("number(age)" in one.to_csv()) == (known != "none")
    if known == "none":
        assert other.numbers is None
    else:
        assert other.numbers == pytest.approx(numbers, nan_ok=True)
    path.write_text(one.to_csv().replace("58.5", "old"), encoding="utf-8")
    if known == "some":
        with pytest.raises(UserError, match="holds no predictions of this label space"):
            Predictions.from_csv(path, SPACE, SPACE)


def test_parts_keep_their_numbers() -> None:
    numbers = np.arange(36.0).reshape(12, 3)
    whole = make()
    parts = [replace(rows(whole, 0, 5), numbers=numbers[:5]), rows(whole, 5, 12)]
    joined = Predictions.concatenate(parts).numbers
    assert joined is not None
    assert (joined[:5] == numbers[:5]).all()
    assert np.isnan(joined[5:]).all()
    assert Predictions.concatenate([rows(whole, 0, 5), rows(whole, 5, 12)]).numbers is None
