"""The contract of losses."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from multitask.labels import MISSING, Task
from multitask.losses import LossSettings
from multitask.losses.task_losses import ClasswiseLoss, JointLoss, TaskLoss
from multitask.losses.training_labels import TrainingLabels
from multitask.testing.expect import expect, expect_equal

COUNTS = (50.0, 10.0, 0.0, 3.0)
"""Of training images; the third class was never seen."""
CENTRES = (5.0, 15.0, math.nan, 35.0)
"""The classes' mean numbers."""
LABELS = torch.tensor([0, 1, 3, 2, 0, 1])
NUMBERS = torch.tensor([5.0, 19.0, 30.5, 24.0, math.nan, math.nan])
"""What the labels were made of, where it is known."""
WEIGHTS = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
"""Of the samples."""


class OnLogits:
    """A loss as of logits, from which heads make log-probabilities.

    Args:
        loss: of log-probabilities.
    """

    def __init__(self, loss: TaskLoss) -> None:
        self.loss = loss

    @property
    def weights(self) -> Tensor:
        """(C_t,) the class weights of a loss that has some."""
        weights = self.loss.weights
        assert isinstance(weights, Tensor)
        return weights

    def per_sample(self, logits: Tensor, labels: Tensor, numbers: Tensor | None = None) -> Tensor:
        """(B,) of a loss that is a mean over the samples."""
        found: Tensor = self.loss.per_sample(  # type: ignore[operator]  # which those have that are a mean
            logits.log_softmax(dim=1), labels, _unknown_where_none(labels, numbers)
        )
        return found

    def __call__(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """The loss of (B, C_t) logits; all samples weigh 1 and no number is known where none are given."""
        log_probs = F.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=1)
        weights = torch.ones(len(labels)) if weights is None else weights
        value: Tensor = self.loss(log_probs, labels, weights, _unknown_where_none(labels, numbers))
        return value


def _unknown_where_none(labels: Tensor, numbers: Tensor | None) -> Tensor:
    return torch.full(labels.shape, math.nan) if numbers is None else numbers


def built(settings: LossSettings) -> OnLogits:
    """The loss of a binned task of four classes with edges at 10, 20 and 30, which every loss can be of."""
    task = Task("task", tuple("abcd"), "binned", (10.0, 20.0, 30.0))
    return OnLogits(settings.build(TrainingLabels(task, np.array(COUNTS), np.array(CENTRES))))


def drawn(dtype: torch.dtype = torch.float32) -> Tensor:
    """(6, 4) logits, a leaf that wants its gradient."""
    values = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)) * 3
    return values.to(dtype).requires_grad_()


def _gradient(logits: Tensor) -> Tensor:
    return torch.zeros_like(logits) if logits.grad is None else logits.grad


def is_finite_and_has_a_finite_gradient(settings: LossSettings) -> None:
    """A scalar of float32 above 0, of logits in single precision and in half."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        logits = drawn(dtype)
        value = built(settings)(logits, LABELS, numbers=NUMBERS)
        expect(value.shape == () and value.dtype == torch.float32, settings, "give a scalar of float32")
        expect(value > 0, settings, "be above 0 where the answers are drawn")
        value.backward()
        gradient = _gradient(logits)
        expect(torch.isfinite(gradient).all(), settings, f"have a finite gradient at logits of {dtype}")
        expect(gradient.abs().sum() > 0, settings, "have a gradient other than 0 where the answers are drawn")


def certain_logits_stay_finite(settings: LossSettings) -> None:
    """Value and gradient at logits of up to 10,000 for the label, or against it."""
    for scale in (1e4, -1e4, 30.0, 16.0):
        logits = (F.one_hot(LABELS, 4) * scale).float().requires_grad_()
        value = built(settings)(logits, LABELS, numbers=NUMBERS)
        value.backward()
        expect(torch.isfinite(value), settings, f"be finite where the label's logit is {scale:g} and the others are 0")
        finite = torch.isfinite(_gradient(logits)).all()
        expect(finite, settings, f"have a finite gradient where the label's logit is {scale:g} and the others are 0")


def missing_labels_count_for_nothing(settings: LossSettings) -> None:
    """Samples whose label is ``MISSING`` might as well not be there."""
    criterion, logits, labels = built(settings), drawn(), LABELS.clone()
    gone, known = [1, 4], [0, 2, 3, 5]
    labels[gone] = MISSING
    criterion(logits, labels, numbers=NUMBERS).backward()
    gradient = _gradient(logits)
    expect((gradient[gone] == 0).all(), settings, "have no gradient at a sample whose label is missing")
    expect((gradient[known].abs().sum(dim=1) > 0).all(), settings, "have a gradient at every sample that has a label")
    alone = criterion(drawn()[known], labels[known], numbers=NUMBERS[known])
    rule = "be the same whether samples without a label are there or not"
    expect_equal(criterion(drawn(), labels, numbers=NUMBERS), alone, settings, rule, 1e-8, 1e-5)


def batch_without_labels_gives_an_exact_zero_with_zero_gradients(settings: LossSettings) -> None:
    """Part of the graph, so that a backward pass goes through."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        logits = drawn(dtype)
        value = built(settings)(logits, torch.full((6,), MISSING), numbers=NUMBERS)
        expect(value == 0, settings, f"be exactly 0 where no label is known, not {value.item():g}")
        expect(value.requires_grad, settings, "be part of the graph where no label is known")
        value.backward()
        expect((_gradient(logits) == 0).all(), settings, "have a gradient of exactly 0 where no label is known")


def sample_of_weight_0_counts_for_nothing(settings: LossSettings) -> None:
    """No gradient; and where all weigh nothing, an exact 0."""
    criterion, logits = built(settings), drawn()
    criterion(logits, LABELS, WEIGHTS, NUMBERS).backward()
    expect((_gradient(logits)[0] == 0).all(), settings, "have no gradient at a sample that weighs nothing")
    _expect_nothing(settings, criterion(drawn(), LABELS, torch.zeros(6), NUMBERS))


def only_the_ratios_of_sample_weights_count(settings: LossSettings) -> None:
    """Ten times all weights is the same loss."""
    criterion, logits = built(settings), drawn()
    once, ten = (criterion(logits, LABELS, factor * WEIGHTS, NUMBERS) for factor in (1, 10))
    expect_equal(ten, once, settings, "be the same with ten times all sample weights", 1e-8, 1e-5)
    rest = criterion(logits[1:], LABELS[1:], WEIGHTS[1:], NUMBERS[1:])
    expect_equal(rest, once, settings, "be the same without the sample that weighs nothing", 1e-8, 1e-5)
    _expect_nothing(settings, criterion(logits, LABELS, 0 * WEIGHTS, NUMBERS))


def _expect_nothing(settings: LossSettings, value: Tensor) -> None:
    expect(value == 0 and value.requires_grad, settings, "be exactly 0, of the graph, where no sample weighs anything")


def classwise_loss_is_the_weighted_mean_of_what_is_per_sample(settings: LossSettings) -> None:
    """Of losses that say what each sample counts."""
    criterion, logits, labels = built(settings), drawn(), LABELS.clone()
    if not isinstance(criterion.loss, ClasswiseLoss):
        return
    labels[1] = MISSING
    each = criterion.per_sample(logits, labels, NUMBERS)
    expect(each.shape == (6,) and each[1] == 0, settings, "give each sample's loss, 0 where its label is missing")
    wanted = (each * WEIGHTS).sum() / 6.5  # a weight of 1 is that of the missing one
    value = criterion(logits, labels, WEIGHTS, NUMBERS)
    expect_equal(value, wanted, settings, "be the weighted mean of its samples' losses", 1e-8, 1e-5)


def gradient_is_that_of_the_value(settings: LossSettings) -> None:
    """As finite differences find it, in double precision."""
    criterion, labels = built(settings), LABELS.clone()
    labels[4] = MISSING
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 3.0], dtype=torch.float64)
    same = torch.autograd.gradcheck(
        lambda values: criterion(values, labels, weights, NUMBERS.double()), logits, raise_exception=False
    )
    expect(same, settings, "have the gradient that finite differences find, also at logits of float64")


def raising_the_labels_logit_never_raises_the_loss(
    settings: LossSettings, values: list[float] | None = None, label: int = 0
) -> None:
    """Of one sample with these four logits, or of some that are drawn; smoothing, which may raise it, left out."""
    criterion = built(_unsmoothed(settings))
    generator = torch.Generator().manual_seed(7)
    some = torch.rand(20, 4, generator=generator) * 16 - 8 if values is None else torch.tensor([values])
    for row in some.double():
        logits = row[None].clone().requires_grad_()
        criterion(logits, torch.tensor([label])).backward()
        slope = _gradient(logits)[0, label]
        expect(slope <= 1e-12, settings, f"never rise with the label's logit, as at {row.tolist()}")


def _unsmoothed(settings: LossSettings) -> LossSettings:
    """Also those that it is made of."""
    plain = {"smoothing": 0.0} if hasattr(settings, "smoothing") else {}
    inner = {name: _unsmoothed(value) for name, value in settings if isinstance(value, LossSettings)}
    return settings.model_copy(update={**plain, **inner})


def has_no_state_to_save(settings: LossSettings) -> None:
    """What a loss holds follows from the config and the training labels."""
    loss = built(settings).loss
    state = [*loss.state_dict(), *(name for name, _ in loss.named_parameters())]
    expect(not state, settings, f"have no state to save, not {state}; register buffers with persistent=False")


def implied_prior_is_finite_and_sums_to_1(settings: LossSettings) -> None:
    """Whatever was seen how often, even nothing."""
    for counts in (COUNTS, (0.0,) * 4):
        for drawn in (None, np.array(counts[::-1])):
            prior = settings.implied_log_prior(np.array(counts), drawn)
            expect(prior.shape == (4,), settings, "give a log-prior of each class")
            finite = np.isfinite(prior).all()
            expect(finite, settings, f"give a finite log-prior where the classes were seen {counts} times")
            expect(math.isclose(np.exp(prior).sum(), 1.0, rel_tol=1e-6), settings, "give a prior that sums to 1")


def loss_without_order_can_be_joint(settings: LossSettings) -> None:
    """Over the classes of a product, some of which cannot occur."""
    task, possible = Task("joint", ("a", "c", "d")), np.array([True, False, True, True])
    if any(settings.problems(task)):  # of order, or of weights for another number of classes
        return
    data = TrainingLabels(task, np.array([3.0, 1.0, 2.0]), np.full(3, np.nan))
    joint = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    criterion = JointLoss(settings.build(data), possible)
    criterion.begin_epoch(1, 2)
    labels = torch.tensor([0, 2, MISSING, 3])
    value = criterion(joint.log_softmax(1), labels, torch.ones(4), torch.full((4,), torch.nan))
    value.backward()
    gradient = _gradient(joint)
    expect(value > 0, settings, "be above 0 as a joint loss")
    expect(torch.isfinite(gradient[[0, 1, 3]][:, [0, 2, 3]]).all(), settings, "have a finite gradient as a joint loss")
    expect((gradient[2] == 0).all(), settings, "have no gradient, as a joint loss, where the class is not known")


LOSS_CHECKS = (
    is_finite_and_has_a_finite_gradient,
    certain_logits_stay_finite,
    missing_labels_count_for_nothing,
    batch_without_labels_gives_an_exact_zero_with_zero_gradients,
    sample_of_weight_0_counts_for_nothing,
    only_the_ratios_of_sample_weights_count,
    classwise_loss_is_the_weighted_mean_of_what_is_per_sample,
    gradient_is_that_of_the_value,
    raising_the_labels_logit_never_raises_the_loss,
    has_no_state_to_save,
    implied_prior_is_finite_and_sums_to_1,
    loss_without_order_can_be_joint,
)
"""What is checked of a loss, each alone."""


def check_loss(settings: LossSettings) -> None:
    """The contract of losses, whole, over one of them.

    >>> from multitask.losses import LOSSES
    >>> check_loss(LOSSES["focal"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in LOSS_CHECKS:
        check(settings)
