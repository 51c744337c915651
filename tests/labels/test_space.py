"""The label space: an exact codec, and probabilities that stay probabilities."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task

quick = settings(deadline=None, max_examples=60)


def task_of(name: str, size: int) -> Task:
    return Task(name, tuple(f"{name}{index}" for index in range(size)))


COMPETITION = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


@st.composite
def spaces(draw: st.DrawFn, impossible: bool = True) -> LabelSpace:
    """1 to 4 tasks of 2 to 5 classes; some cells cannot occur, named by one or by several tasks' labels."""
    sizes = draw(st.lists(st.integers(2, 5), min_size=1, max_size=4))
    tasks = [task_of("abcd"[position], size) for position, size in enumerate(sizes)]
    cells: list[dict[str, str]] = []
    if impossible:
        for _ in range(draw(st.integers(0, 3))):
            cell = {task.name: draw(st.sampled_from(task.classes)) for task in tasks if draw(st.booleans())}
            try:
                LabelSpace(tasks, [*cells, cell])
            except UserError:  # too little would be left
                continue
            cells.append(cell)
    return LabelSpace(tasks, cells)


def random_log_probs(space: LabelSpace, seed: int, rows: int = 7) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {
        task.name: (3 * torch.randn(rows, task.num_classes, generator=rng, dtype=torch.float64)).log_softmax(1)
        for task in space.tasks
    }


class TestCodec:
    @quick
    @given(spaces())
    def test_every_class_is_the_mixed_radix_sum_of_its_labels(self, space: LabelSpace) -> None:
        expected = 0
        for labels in product(*(range(size) for size in space.sizes)):  # product varies its last factor fastest
            radix_sum = 0
            for label, size in zip(labels, space.sizes, strict=True):
                radix_sum = radix_sum * size + label
            assert int(space.encode(labels)) == radix_sum == expected
            assert space.decode(radix_sum).tolist() == list(labels)
            assert space.class_names[radix_sum] == "/".join(
                task.classes[label] for task, label in zip(space.tasks, labels, strict=True)
            )
            expected += 1
        assert space.num_classes == expected

    @quick
    @given(spaces(), st.data())
    def test_encode_and_decode_are_inverse_in_any_shape(self, space: LabelSpace, data: st.DataObject) -> None:
        shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
        classes = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-1, space.num_classes, shape)
        labels = space.decode(classes)
        assert labels.shape == (*shape, space.num_tasks)
        assert labels.dtype == np.int64
        assert np.array_equal(space.encode(labels), classes)

    @quick
    @given(spaces(), st.data())
    def test_one_missing_label_makes_the_class_missing(self, space: LabelSpace, data: st.DataObject) -> None:
        labels = [data.draw(st.integers(-1, size - 1)) for size in space.sizes]
        assert (int(space.encode(labels)) == MISSING) == (MISSING in labels)

    def test_a_missing_class_is_missing_in_every_task(self) -> None:
        assert COMPETITION.decode([MISSING, 17]).tolist() == [[-1, -1, -1], [2, 1, 2]]

    def test_the_competitions_classes(self) -> None:
        for mask, gender, age in product(range(3), range(2), range(3)):
            assert int(COMPETITION.encode([mask, gender, age])) == mask * 6 + gender * 3 + age
        assert COMPETITION.class_names[0] == "wear/male/<30"
        assert COMPETITION.class_names[17] == "not_worn/female/>=60"

    def test_out_of_range_is_refused(self) -> None:
        for labels in ([3, 0, 0], [0, 2, 0], [0, 0, -2]):
            with pytest.raises(ValueError, match="outside its task's range"):
                COMPETITION.encode(labels)
        with pytest.raises(ValueError, match="3 columns"):
            COMPETITION.encode([0, 0])
        for index in (18, -2):
            with pytest.raises(ValueError, match="18 classes"):
                COMPETITION.decode(index)


class TestProbabilities:
    @quick
    @given(spaces(impossible=False), st.integers(0, 999))
    def test_joint_is_the_outer_product_and_its_marginals_are_the_factors(self, space: LabelSpace, seed: int) -> None:
        log_probs = random_log_probs(space, seed)
        joint = space.joint_log_probs(log_probs)
        assert joint.shape == (7, space.num_classes)
        for index, labels in enumerate(space.decode(np.arange(space.num_classes))):
            expected = sum(log_probs[task.name][:, label] for task, label in zip(space.tasks, labels, strict=True))
            torch.testing.assert_close(joint[:, index], expected)
        marginals = space.marginal_log_probs(joint)
        assert list(marginals) == list(space.task_names)
        for name, values in marginals.items():
            torch.testing.assert_close(values, log_probs[name])

    @quick
    @given(spaces(), st.integers(0, 999))
    def test_marginals_of_any_joint_sum_the_cells_of_a_label(self, space: LabelSpace, seed: int) -> None:
        joint = torch.randn(5, space.num_classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        joint = joint.softmax(1)
        labels = space.decode(np.arange(space.num_classes))
        for column, (name, values) in enumerate(space.marginal_probs(joint).items()):
            torch.testing.assert_close(values.sum(1), torch.ones(5, dtype=torch.float64))
            for label in range(space.sizes[column]):
                torch.testing.assert_close(values[:, label], joint[:, labels[:, column] == label].sum(1), msg=name)

    @quick
    @given(spaces(), st.integers(0, 999))
    def test_impossible_cells_have_no_mass_and_the_rest_keeps_its_ratios(self, space: LabelSpace, seed: int) -> None:
        probs = {name: values.exp() for name, values in random_log_probs(space, seed).items()}
        joint = space.joint_probs(probs)
        assert (joint[:, torch.tensor(~space.possible)] == 0).all()
        torch.testing.assert_close(joint.sum(1), torch.ones(7, dtype=torch.float64))
        possible = torch.tensor(space.possible)
        free = LabelSpace(space.tasks).joint_probs(probs)[:, possible]
        torch.testing.assert_close(joint[:, possible], free / free.sum(1, keepdim=True))

    @quick
    @given(spaces(impossible=False), st.integers(0, 999))
    def test_argmax_of_the_product_is_the_product_of_the_argmaxes(self, space: LabelSpace, seed: int) -> None:
        log_probs = random_log_probs(space, seed)
        each = np.stack([values.argmax(1).numpy() for values in log_probs.values()], axis=1)
        assert np.array_equal(space.joint_log_probs(log_probs).argmax(1).numpy(), space.encode(each))

    def test_gradients_pass_around_impossible_cells(self) -> None:
        space = LabelSpace([task_of("a", 2), task_of("b", 2)], [{"a": "a0", "b": "b0"}])
        logits = {name: torch.zeros(1, 2, requires_grad=True) for name in ("a", "b")}
        joint = space.joint_log_probs({name: values.log_softmax(1) for name, values in logits.items()})
        (-joint[0, 3]).backward()
        for values in logits.values():
            assert values.grad is not None
            assert values.grad.isfinite().all()
            assert values.grad.abs().sum() > 0

    def test_a_missing_task_or_a_wrong_width_is_refused(self) -> None:
        log_probs = random_log_probs(COMPETITION, 0)
        with pytest.raises(ValueError, match=r"log_probs\['age'\] must be \(B, 3\), found None"):
            COMPETITION.joint_log_probs({name: log_probs[name] for name in ("mask", "gender")})
        with pytest.raises(ValueError, match=r"log_probs\['gender'\] must be \(B, 2\), found \(7, 3\)"):
            COMPETITION.joint_log_probs({**log_probs, "gender": log_probs["mask"]})
        with pytest.raises(ValueError, match=r"\(B, 18\), found \(7, 17\)"):
            COMPETITION.marginal_log_probs(torch.zeros(7, 17))


class TestFlattened:
    @quick
    @given(spaces())
    def test_same_classes_same_indices_same_possible_cells(self, space: LabelSpace) -> None:
        flat = space.flattened()
        assert flat.num_tasks == 1
        assert flat.tasks[0].classes == space.class_names == flat.class_names
        assert np.array_equal(flat.possible, space.possible)
        classes = np.arange(-1, space.num_classes)
        assert np.array_equal(flat.encode(classes[:, None]), classes)


class TestSpace:
    def test_equal_spaces_hash_alike_and_cells_matter(self) -> None:
        same = LabelSpace(COMPETITION.tasks)
        other = LabelSpace(COMPETITION.tasks, [{"mask": "wear", "age": "<30"}])
        assert same == COMPETITION
        assert hash(same) == hash(COMPETITION)
        assert other != COMPETITION
        assert (~other.possible).nonzero()[0].tolist() == [0, 3]

    def test_a_task_named_twice_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"labels\.tasks: a name stands twice"):
            LabelSpace([task_of("a", 2), task_of("a", 3)])
