"""The label space: an exact codec, probabilities that stay probabilities, and lines that say what is wrong."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.errors import UserError
from multitask.labels import MISSING, LabelSettings, LabelSpace, Task
from multitask.settings.schema import problems, validate

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


class TestTask:
    @pytest.mark.parametrize(
        ("value", "label"),
        [(-5, 0), (0, 0), (29.999, 0), (30, 1), (30.0, 1), ("30", 1), ("29.999", 0), (59.99, 1), (60, 2), ("60.0", 2)],
    )
    def test_an_edge_belongs_to_the_bin_above_it(self, value: object, label: int) -> None:
        assert COMPETITION.tasks[2].index(value) == label

    @given(st.floats(-1e18, 1e18), st.lists(st.floats(-1e6, 1e6), min_size=1, unique=True))
    @quick
    def test_a_bin_is_the_number_of_edges_not_above(self, value: float, edges: list[float]) -> None:
        edges = sorted(edges)
        task = Task("x", tuple(map(str, range(len(edges) + 1))), "binned", tuple(edges))
        assert task.index(value) == sum(edge <= value for edge in edges)

    def test_nothing_is_missing(self) -> None:
        for task in COMPETITION.tasks:
            for value in (None, "", " ", "\u00a0\u200b", math.nan):
                assert task.index(value) == MISSING

    @pytest.mark.parametrize(
        "value", ["x", "nan", "inf", math.inf, "30 years", [30], "1_000", "19,90", "1e300", ">=30", "<30"]
    )
    def test_what_is_no_number_is_refused(self, value: object) -> None:
        with pytest.raises(UserError, match=r"^age: must be a number, found"):
            COMPETITION.tasks[2].index(value)

    def test_numbers_that_there_cannot_be(self) -> None:
        age = Task("age", ("<30", ">=30"), "binned", (30.0,), 0.0, 120.0)
        assert [age.index(number) for number in (0, 120, "29", None)] == [0, 1, 0, MISSING]
        for number, line in (
            (
                -1,
                "age: must be at least 0 (labels.tasks.age.lowest), found -1; leave the cell of an unknown number",
            ),
            ("999", "age: must be at most 120 (labels.tasks.age.highest), found 999; leave the cell"),
        ):
            with pytest.raises(UserError) as caught:
                age.index(number)
            assert str(caught.value).startswith(line)

    def test_an_unknown_class_is_named_with_the_nearest(self) -> None:
        with pytest.raises(UserError, match=r"^gender: unknown class 'femal'; did you mean 'female'"):
            COMPETITION.tasks[1].index("femal")
        with pytest.raises(UserError, match=r"^gender: unknown class 0; it can be 'male', 'female'$"):
            COMPETITION.tasks[1].index(0)


class TestSettings:
    TASKS: dict[str, Any] = {
        "mask": {"classes": ["wear", "incorrect", "not_worn"]},
        "gender": ["male", "female"],
        "age": {"kind": "binned", "edges": [30, 60]},
    }

    def section(self, **tasks: Any) -> dict[str, Any]:
        return {"tasks": {"mask": self.TASKS["mask"], "age": self.TASKS["age"], **tasks}}

    def test_the_competitions_space_is_declared(self) -> None:
        section = self.section(gender={"classes": ["male", "female"]})
        section["tasks"] = {name: section["tasks"][name] for name in ("mask", "gender", "age")}
        assert LabelSpace.from_settings(validate(LabelSettings, section)) == COMPETITION

    def test_equal_spaces_hash_alike_and_cells_matter(self) -> None:
        same = LabelSpace(COMPETITION.tasks)
        other = LabelSpace(COMPETITION.tasks, [{"mask": "wear", "age": "<30"}])
        assert same == COMPETITION
        assert hash(same) == hash(COMPETITION)
        assert other != COMPETITION
        assert (~other.possible).nonzero()[0].tolist() == [0, 3]

    def test_close_edges_still_name_their_bins_apart(self) -> None:
        section = self.section(age={"kind": "binned", "edges": [1000000, 1000001, 1000002.5]})
        names = LabelSpace.from_settings(validate(LabelSettings, section)).tasks[1].classes
        assert names == ("<1000000", "1000000-1000001", "1000001-1000002.5", ">=1000002.5")

    @pytest.mark.parametrize(
        ("tasks", "line"),
        [
            ({"age": {"kind": "binned", "edges": [60, 30]}}, "labels.tasks.age: edges must rise, found [60.0, 30.0]"),
            ({"age": {"kind": "binned", "edges": [30, 30]}}, "labels.tasks.age: edges must rise, found [30.0, 30.0]"),
            (
                {"age": {"kind": "binned", "edges": [1.0, 1.00000001]}},
                "labels.tasks.age: edges must differ by more than single precision rounds, found [1.0, 1.00000001]",
            ),
            (
                {"age": {"kind": "binned", "edges": [1e308]}},
                "labels.tasks.age.edges.0: input should be less than or equal to",
            ),
            ({"age": {"kind": "binned", "edges": [math.nan]}}, "labels.tasks.age.edges.0: input should be a finite"),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "lowest": 30}},
                "labels.tasks.age.lowest: must be below the first edge (30), found 30",
            ),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "highest": 59}},
                "labels.tasks.age.highest: must be at least the last edge (60), found 59",
            ),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "classes": ["a", "b"]}},
                "labels.tasks.age: 2 edges make 3 classes, found 2",
            ),
            ({"mask": {"classes": ["a", "b", "a"]}}, "labels.tasks.mask: class 'a' stands twice"),
            ({"mask": {"kind": "ordinal", "classes": ["a", " "]}}, "labels.tasks.mask: a class name is empty"),
            (
                {"mask": {"classes": ["a/b", "c"]}},
                "labels.tasks.mask: a class name cannot hold '/', which joins the names of a product: 'a/b'",
            ),
            (
                {"mask worn": {"classes": ["a", "b"]}},
                "labels.tasks: a name is made of letters, digits and _, found 'mask worn'",
            ),
            (
                {"image": {"classes": ["a", "b"]}},
                "labels.tasks: 'image' is a name that tables and reports use; choose another",
            ),
            (
                {"mask": {"classes": [str(index) for index in range(4000)]}},
                "labels.tasks: at most 10000 classes in the product, found 12000",
            ),
            ({"age": {"kind": "bined", "edges": [30]}}, "labels.tasks.age.kind: unknown kind 'bined'; did you mean"),
            ({"age": {"kind": "binned"}}, "labels.tasks.age.edges: "),
        ],
    )
    def test_a_wrong_task_is_one_line(self, tasks: dict[str, Any], line: str) -> None:
        found = problems_below_labels(self.section(**tasks))
        assert len(found) == 1
        assert found[0].startswith(line)

    @pytest.mark.parametrize(
        ("cells", "line"),
        [
            ([{"mas": "wear"}], "labels.impossible: unknown task 'mas'; did you mean 'mask'?"),
            ([{"mask": "wera"}], "labels.impossible: mask has no class 'wera'; did you mean 'wear'?"),
            ([{}], "labels.impossible: leaves 0 classes that can occur; two are needed"),
        ],
    )
    def test_a_wrong_cell_is_one_line(self, cells: list[dict[str, str]], line: str) -> None:
        assert problems_below_labels({**self.section(), "impossible": cells}) == [line]

    def test_a_task_named_twice_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"labels\.tasks: a name stands twice"):
            LabelSpace([task_of("a", 2), task_of("a", 3)])


def problems_below_labels(section: dict[str, Any]) -> list[str]:
    """What is wrong with a ``labels`` section, seen from the config that holds it."""
    from multitask.settings.schema import Settings

    class Whole(Settings):
        labels: LabelSettings

    Whole.model_rebuild(_types_namespace={"LabelSettings": LabelSettings})
    return problems(Whole, {"labels": section})
