"""Answers under the prior that is estimated on the images that are answered."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.errors import UserError
from multitask.evaluation.decode import FITTED_RULES, ModelOutputs, PriorCorrection
from multitask.evaluation.decode.prior_shifted import PriorShifted
from multitask.evaluation.prior_shift import Answered, PriorEstimate
from multitask.inference.group_keys import group_key, group_numbers
from multitask.inference.grouped import answer_groups
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.kept_outputs import Computed
from multitask.inference.predict_files import predict_files
from multitask.inference.prediction import PredictionBatch
from multitask.inference.predictor import Predictor
from multitask.inference.prior_shift import answer_shifted, with_priors
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import InputBatch
from multitask.labels import JOINT, LabelSpace, Task
from multitask.progress import Progress
from multitask.runs.out_of_fold import OutOfFold, prior_of
from multitask.utils.strings import Strings

RNG = np.random.default_rng(0)


def estimate(labels: tuple[str, ...], prior: tuple[float, ...], trained: tuple[float, ...]) -> PriorEstimate:
    return PriorEstimate(
        labels=labels,
        prior=prior,
        prior_ci=tuple((share, share) for share in prior),
        by_confusion=prior,
        trained=trained,
        condition=1.0,
        num_images=9,
        num_groups=9,
    )


COLOUR = estimate(("red", "blue"), (0.2, 0.8), (0.5, 0.5))


def outputs_of(space: LabelSpace, num: int, joint: bool) -> ModelOutputs:
    heads = {task.name: np.log(RNG.dirichlet(np.ones(task.num_classes), size=num)) for task in space.tasks}
    return ModelOutputs(space, heads, np.log(RNG.dirichlet(np.ones(space.num_classes), size=num)) if joint else None)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_probabilities_and_decisions_are_those_of_bayes_under_the_new_prior(
    shade_spec: InferenceSpec, joint: bool, temperature: float
) -> None:
    names = [*shade_spec.space.task_names, *([JOINT] if joint else [])]
    spec = shade_spec.model_copy(update={"joint_term": joint, "temperatures": dict.fromkeys(names, temperature)})
    outputs = outputs_of(spec.space, 200, joint)
    old, new = (
        PredictionBatch.of(which, outputs, ["x"] * 200) for which in (spec, with_priors(spec, {"colour": COLOUR}))
    )
    expected = old.class_probs * np.repeat([0.2 / 0.5, 0.8 / 0.5], 3)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(new.class_probs, expected)
    assert (new.predicted == expected.argmax(axis=1)).all()
    assert (new.predicted != old.predicted).any()


def test_the_prior_of_a_task_that_is_not_named_stays(shade_spec: InferenceSpec) -> None:
    outputs = outputs_of(shade_spec.space, 50, joint=False)
    old, new = (
        PredictionBatch.of(which, outputs, ["x"] * 50)
        for which in (shade_spec, with_priors(shade_spec, {"colour": COLOUR}))
    )
    assert np.allclose(old.probs["size"], new.probs["size"])
    assert with_priors(shade_spec, {}).calibration is None


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_a_rule_that_divides_by_the_prior_divides_by_the_new_one(shade_spec: InferenceSpec, strength: float) -> None:
    space, outputs = shade_spec.space, outputs_of(shade_spec.space, 100, joint=False)
    ratio = np.log([0.4, 1.6])

    def rule(colour: tuple[float, ...]) -> PriorCorrection:
        priors = {"colour": colour, "size": (0.0, 0.0, 0.0)}
        return PriorCorrection(temperatures=dict.fromkeys(space.task_names, 1.0), strength=strength, log_priors=priors)

    moved = {**outputs.heads, "colour": outputs.heads["colour"] + ratio}
    found = PriorShifted(rule=rule((0.0, 0.0)), offsets={"colour": tuple(ratio), "size": (0.0, 0.0, 0.0)})
    expected = rule(tuple(ratio)).decode(ModelOutputs(space, moved))
    assert (found.decode(outputs) == expected).all()


def known(spec: InferenceSpec, right: float = 0.9) -> OutOfFold:
    """Groups of one image on which a network that is nine times in ten sure was right that often."""
    answered = {}
    for name, size in (("colour", 2), ("size", 3), (JOINT, 6)):
        labels = np.arange(600) % size
        wrong = RNG.random(600) >= right
        predicted = np.where(wrong, (labels + 1 + RNG.integers(size - 1, size=600)) % size, labels)
        probs = np.full((600, size), 0.1 / (size - 1))
        probs[np.arange(600), predicted] = 0.9
        answered[name] = Answered(probs, labels, np.arange(600))
    return OutOfFold(spec.space, answered, None)


def named(folder: Path) -> NamedInputs:
    return NamedInputs([str(folder)], InputOptions())


class Notes(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    def warn(self, text: str) -> None:
        self.texts.append(f"warning: {text}")


@pytest.fixture
def mostly_red(tmp_path: Path) -> Path:
    """Eighty images that the network takes for red, of shades 0, 40 and 80, and twenty for blue."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(100):
        shade = 40 * (number % 3) + (120 if number >= 80 else 0)
        Image.new("RGB", (12, 12), (shade,) * 3).save(folder / f"{number:03}.png")
    return folder


def test_a_job_is_answered_under_its_own_prior_and_says_it(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path, tmp_path: Path
) -> None:
    inputs, notes = NamedInputs([str(mostly_red)], InputOptions()), Notes()
    files = [tmp_path / "plain.csv", tmp_path / "shifted.csv"]
    predict_files(shades, inputs, files[0], Progress())
    predict_files(shades, inputs, files[1], notes, labelled=known(shade_spec))
    plain, shifted = (path.read_text().splitlines() for path in files)
    column = plain[0].split(",").index("p(colour)")
    assert [line.split(",")[0] for line in plain] == [line.split(",")[0] for line in shifted]
    assert float(shifted[1].split(",")[column]) > float(plain[1].split(",")[column]) == pytest.approx(0.9)
    # 80% are taken for red, and with one error in ten .9 r + .1 (1 - r) = .8 where r = 87.5% are.
    assert float(shifted[-1].split(",")[column]) == pytest.approx(0.9 / (0.9 + 0.1 * 7), abs=0.01)
    assert any(text.startswith("estimated prior of colour: red 8") for text in notes.texts)


def test_what_is_not_identifiable_or_no_longer_promised_is_refused(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path, tmp_path: Path
) -> None:
    inputs, out = NamedInputs([str(mostly_red)], InputOptions()), tmp_path / "x.csv"
    with pytest.raises(UserError, match="--prior-shift: prediction sets and risks"):
        predict_files(shades, inputs, out, Progress(), coverage=0.9, labelled=known(shade_spec))
    found = known(shade_spec)
    chance = {
        name: replace(part, probs=np.roll(part.probs, 7, axis=0)[RNG.permutation(600)])
        for name, part in found.single.items()
    }
    with pytest.raises(UserError, match=r"--prior-shift: prior of colour: is not identifiable.*condition number"):
        predict_files(shades, inputs, out, Progress(), labelled=replace(found, single=chance))
    assert not out.exists()


def test_a_prior_that_is_not_identifiable_is_warned_of_where_another_is(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path, tmp_path: Path
) -> None:
    found = known(shade_spec)
    part = found.single["colour"]
    chance = {**found.single, "colour": replace(part, probs=np.roll(part.probs, 7, axis=0)[RNG.permutation(600)])}
    notes = Notes()
    inputs = NamedInputs([str(mostly_red)], InputOptions())
    predict_files(shades, inputs, tmp_path / "x.csv", notes, labelled=replace(found, single=chance))
    warned = [text for text in notes.texts if text.startswith("warning")]
    assert len(warned) == 1
    assert re.fullmatch(
        r"warning: --prior-shift: prior of colour: is not identifiable: .*; there the old prior stays", warned[0]
    )


def test_groups_are_pooled_before_the_prior_moves_them(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path, tmp_path: Path
) -> None:
    inputs = NamedInputs([str(mostly_red)], InputOptions(groups_by_folder=True))
    both = known(shade_spec)
    predict_files(shades, inputs, tmp_path / "x.csv", Progress(), labelled=replace(both, grouped=both.single))
    rows = [line.split(",") for line in (tmp_path / "x.csv").read_text().splitlines()]
    sizes = [float(row[rows[0].index("p(size)")]) for row in rows[1:]]
    # Bayes on the pooled probabilities: the prior counts once, and not once for each image.
    batches = list(shades.batches(inputs, None))
    computed = [(batch, shades.engine.outputs(batch.pixels)) for batch in batches]
    pooled = np.concatenate([batch.predictions.class_probs for batch in answer_groups(shade_spec, computed)])
    numbers = np.zeros(100, dtype=np.int64)
    priors = {name: prior_of(both, name, pooled, numbers, 0)[0] for name in ("colour", "size")}
    assert all(priors.values())
    by_size = pooled.reshape(100, 2, 3).sum(axis=1) * np.exp(priors["size"].log_ratio())
    expected = by_size.max(axis=1) / by_size.sum(axis=1)
    assert np.allclose(sizes, expected, atol=1e-6)
    assert np.ptp(sizes) < 1e-6
    assert abs(sizes[0] - pooled.reshape(100, 2, 3).sum(axis=1).max()) > 0.01  # the prior has moved it


CLASSES = estimate(
    ("red s", "red m", "red l", "blue s", "blue m", "blue l"),
    (0.4, 0.1, 0.1, 0.1, 0.1, 0.2),
    (0.1, 0.2, 0.2, 0.2, 0.2, 0.1),
)


@pytest.mark.parametrize("flat", [False, True])
def test_classes_that_are_learned_whole_take_the_joint_prior(shade_spec: InferenceSpec, flat: bool) -> None:
    space = shade_spec.space
    heads = (Task("class", space.class_names),) if flat else shade_spec.heads
    spec = shade_spec.model_copy(update={"heads": heads, "joint_term": not flat, "grouping": None})
    outputs = outputs_of(spec.learned, 200, joint=not flat)
    old, new = (
        PredictionBatch.of(which, outputs, ["x"] * 200)
        for which in (spec, with_priors(spec, {"colour": COLOUR, JOINT: CLASSES}))
    )
    expected = old.class_probs * np.array(CLASSES.prior) / np.array(CLASSES.trained)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(new.class_probs, expected)
    assert (new.predicted == expected.argmax(axis=1)).all()
    apart = outputs_of(space, 9, joint=False)
    by_task = (with_priors(shade_spec, priors) for priors in ({"colour": COLOUR}, {"colour": COLOUR, JOINT: CLASSES}))
    one, two = (PredictionBatch.of(which, apart, ["x"] * 9).class_probs for which in by_task)
    assert (one == two).all()  # of heads that are apart there is no other


@pytest.mark.parametrize(
    ("flat", "identifiable", "told"),
    [
        (True, {"colour", "size"}, ["warning: --prior-shift: no joint; theirs is moved by the product of the tasks'"]),
        (False, {"colour", "size"}, ["warning: --prior-shift: no joint; theirs is moved by the product of the tasks'"]),
        (True, {"colour", JOINT}, ["no size"]),
        (False, {"colour", JOINT}, ["warning: --prior-shift: no size; there the old prior stays"]),
        (True, {"colour"}, ["warning: --prior-shift: no size; there the old", "warning: --prior-shift: no joint; the"]),
    ],
)
def test_what_becomes_of_a_prior_that_is_not_identifiable_is_told(
    shades: Predictor,
    shade_spec: InferenceSpec,
    mostly_red: Path,
    monkeypatch: pytest.MonkeyPatch,
    flat: bool,
    identifiable: set[str],
    told: list[str],
) -> None:
    space = shade_spec.space
    heads = (Task("class", space.class_names),) if flat else shade_spec.heads
    spec = shade_spec.model_copy(update={"heads": heads, "joint_term": not flat, "grouping": None})
    size = estimate(("s", "m", "l"), (0.2, 0.3, 0.5), (0.4, 0.3, 0.3))
    found = {"colour": COLOUR, "size": size, JOINT: CLASSES}
    monkeypatch.setattr(
        "multitask.inference.prior_shift.prior_of",
        lambda known, name, *rest, **more: (found[name], "") if name in identifiable else (None, f"no {name}"),
    )
    notes = Notes()
    batch = next(iter(shades.batches(named(mostly_red), 100)))
    computed = [(batch, outputs_of(spec.learned, 100, joint=not flat))]
    monkeypatch.setattr(shades, "spec", spec)
    list(answer_shifted(shades, known(shade_spec), iter(computed), False, notes))
    others = [text for text in notes.texts if not text.startswith("estimated")]
    assert len(others) == len(told)
    assert all(text.startswith(start) for text, start in zip(others, told, strict=True))


def test_the_pixels_of_images_that_are_computed_are_let_go(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path
) -> None:
    held: list[weakref.ref[object]] = []

    def batches() -> Iterator[InputBatch]:
        for batch in shades.batches(NamedInputs([str(mostly_red)], InputOptions()), 10):
            copy = batch.pixels.copy()
            held.append(weakref.ref(copy))
            yield replace(batch, pixels=copy)

    answered = answer_shifted(shades, known(shade_spec), shades.compute(batches()), False, Progress())
    next(answered)  # all are computed
    assert len(held) == 10
    assert all(ref() is None for ref in held[:-1])


@pytest.mark.parametrize("grouped", [False, True])
def test_answers_are_those_of_outputs_that_are_held_in_memory(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path, grouped: bool
) -> None:
    for number in (0, 1, 2, 3, 9, 50):  # of the first batch all
        (mostly_red / f"{number:03}.png").write_bytes(b"broken")
    both = known(shade_spec)
    both = replace(both, grouped=both.single)
    groups = [None if number % 5 == 0 else f"person {number // 3}" for number in range(100)]
    inputs = [
        replace(item, group=group if grouped else None) for item, group in zip(named(mostly_red), groups, strict=True)
    ]
    computed = list(shades.compute(shades.batches(inputs, 4)))

    def answered(spec: InferenceSpec) -> list[PredictionBatch]:
        if grouped:
            return [batch.predictions for batch in answer_groups(spec, computed)]
        return [
            PredictionBatch.of(spec, outputs, [item.name for item in batch.readable])
            for batch, outputs in computed
            if outputs is not None
        ]

    readable = [item.group for batch, _ in computed for item in batch.readable]
    numbers = group_numbers(Strings.of(map(group_key, readable)))
    class_probs = np.concatenate([batch.class_probs for batch in answered(shade_spec)])
    names = (*shade_spec.space.task_names, JOINT)
    priors = {name: prior_of(both, name, class_probs, numbers, both.seed, pooled=grouped)[0] for name in names}
    assert all(priors.values())
    expected = answered(with_priors(shade_spec, {name: priors[name] for name in shade_spec.space.task_names}))
    found = list(answer_shifted(shades, both, iter(computed), grouped, Progress()))
    assert [len(batch.inputs) for batch in found] == [4] * 25
    assert [len(batch.errors) for batch in found if batch.errors] == [4, 1, 1]
    parts = (
        PredictionBatch.concatenate(some, shade_spec.space) for some in (expected, [one.predictions for one in found])
    )
    before, after = parts
    assert before.images == after.images
    assert (before.predicted == after.predicted).all()
    assert (before.class_probs == after.class_probs).all()  # to the bit


def test_no_image_and_no_output_is_held_as_an_object(
    shades: Predictor, shade_spec: InferenceSpec, mostly_red: Path
) -> None:
    held: list[weakref.ref[object]] = []

    def computed() -> Iterator[Computed]:
        for batch, outputs in shades.compute(shades.batches(named(mostly_red), 10)):
            held.extend(map(weakref.ref, (batch, *batch.inputs, outputs)))
            yield batch, outputs
            del batch, outputs

    answered = answer_shifted(shades, known(shade_spec), computed(), False, Progress())
    next(answered)
    assert len(held) == 120
    assert all(ref() is None for ref in held[:-12])


def test_the_rule_is_none_that_a_run_keeps() -> None:
    assert "prior_shifted" not in FITTED_RULES
