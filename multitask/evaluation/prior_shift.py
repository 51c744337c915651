"""Prior shift: the label prior of images without labels, where p(x | y) is that of the labelled ones and p(y) is not.

Symbols: N images without labels, C labels, pi (C,) their prior, rho (C,) the prior in the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.intervals import interval
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING
from multitask.utils.records import Count, Interval, Number, Score

CLASSES = "the classes"
"""What a prior is of where it is not a task's."""
MOST_CONDITION = 100.0
"""Beyond it an error in a prediction's share is an error in the prior a hundred times as large."""
NUM_RESAMPLES = 200
_STEPS = 500
_MOVED = 1e-7
_MOVED_RESAMPLED = 1e-5
"""EM of a resample ends sooner, by its step: where labels are hard to tell apart hundreds of steps are needed, and one
that is cut short keeps to the estimate that it began at."""
_FLOOR = 1e-12
_LEAST_PRIOR = 1e-4
"""A label that EM finds nowhere may still be in the next image."""


@dataclass(frozen=True, kw_only=True)
class PriorEstimate:
    """The label prior of images without labels, of a task or of the classes.

    Of a run in folds the labelled images are answered by one network each, and those without labels by all of them
    pooled, which are right a little more often and surer: ``trained``, ``by_confusion`` and what is proven of a label's
    precision are of one network.

    Attributes:
        labels: their names.
        prior: their estimated shares, by EM.
        prior_ci: their 95% intervals, over resampled groups of the images without labels; what the network's own errors
            would be in other groups is not in them.
        by_confusion: the same shares by inverting the confusion matrix, an independent check.
        trained: the prior that the probabilities contain.
        condition: the condition number of the confusion matrix.
        num_images: N.
        num_groups: theirs.
    """

    labels: tuple[str, ...]
    prior: tuple[Score, ...]
    prior_ci: tuple[Interval, ...]
    by_confusion: tuple[Score, ...]
    trained: tuple[Score, ...]
    condition: Number
    num_images: Count
    num_groups: Count

    def log_ratio(self) -> FloatArray:
        """(C,) log pi - log rho, which is added to log-probabilities under rho; 0 of a label that neither has."""
        new, old = np.array(self.prior), np.array(self.trained)
        found = np.log(np.maximum(new, _LEAST_PRIOR)) - np.log(np.maximum(old, _LEAST_PRIOR))
        return np.where((new > 0) | (old > 0), found, 0.0)


@dataclass(frozen=True, kw_only=True)
class LabelPrior:
    """The label priors of images, as a report has them.

    Attributes:
        priors: by task, and of ``joint``, those that are identifiable.
        unknown: of the others why not, in a line.
    """

    priors: dict[str, PriorEstimate]
    unknown: dict[str, str]


@dataclass(frozen=True, eq=False)
class Answered:
    """Calibrated probabilities of M images on which the network was not trained.

    Attributes:
        probs: (M, C), rows sum to 1.
        labels: (M,) the right labels, ``MISSING`` where unknown; all of them, of images without labels.
        groups: (M,) numbers, one for each group.
    """

    probs: FloatArray
    labels: IntArray
    groups: IntArray

    def known(self) -> Answered:
        """Those whose label is known."""
        rows = self.labels != MISSING
        return Answered(self.probs[rows], self.labels[rows], self.groups[rows])


def estimate_prior(
    labelled: Answered, unlabelled: Answered, names: tuple[str, ...], possible: NDArray[np.bool_], what: str, seed: int
) -> PriorEstimate:
    """The label prior of images without labels.

    Args:
        labelled: by a network that did not train on them.
        unlabelled: N images.
        names: of the labels.
        possible: (C,) bool, the labels that can occur.
        what: the task, as errors name it.
        seed: of the intervals.

    Raises:
        UserError: it is not identifiable: a label never occurs among the labelled, or in too few of their groups to say
            how sure that is, or the confusion matrix is near-singular, so that its predictions do not tell the labels
            apart.
    """
    known = labelled.known()
    if not len(unlabelled.probs):
        raise UserError(f"prior of {what}: there are no images to estimate it on")
    _check_occur(known, names, possible, what)
    chosen = np.flatnonzero(possible)
    places = np.full(len(names), MISSING)
    places[chosen] = np.arange(len(chosen))
    shown = tuple(names[place] for place in chosen)
    probs, labels = _normalised(known.probs[:, chosen]), places[known.labels]
    new = _normalised(unlabelled.probs[:, chosen])
    predicted = np.bincount(new.argmax(axis=1), minlength=len(chosen)) / len(new)
    condition = _check_told_apart(probs, labels, known.groups, shown, what, seed)
    # By what the network says, and not by the labels' counts: on the labelled images EM then stays where it began.
    trained = probs.mean(axis=0)
    ratios = np.divide(new, np.maximum(trained, _FLOOR), out=new)  # in place: there may be millions
    prior = _em(ratios, trained)
    draws = _resampled(ratios, prior, unlabelled.groups, seed)
    matrix = confusion(probs.argmax(axis=1), labels, len(chosen))
    inverted = invert_confusion(matrix, predicted)

    def spread(values: FloatArray) -> tuple[float, ...]:
        found = np.zeros(len(names))
        found[chosen] = values
        return tuple(map(float, np.clip(found, 0, 1)))

    lows, highs = zip(*(interval(column) for column in draws.T), strict=True)
    return PriorEstimate(
        labels=names,
        prior=spread(prior),
        prior_ci=tuple(zip(spread(np.array(lows)), spread(np.array(highs)), strict=True)),
        by_confusion=spread(inverted),
        trained=spread(trained),
        condition=condition,
        num_images=len(ratios),
        num_groups=len(np.unique(unlabelled.groups)),
    )


def em_prior(
    probs: FloatArray,
    trained: FloatArray,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
    most_steps: int = _STEPS,
) -> FloatArray:
    """The prior of greatest likelihood, by EM: Saerens, Latinne and Decaestecker 2002, Neural Computation 14, eq. 2.9.

    q_i(y) is proportional to p(y | x_i) pi(y) / rho(y), with p(y | x_i) the probability of label y given image i under
    the prior rho, and pi(y) is the mean of q_i(y) over the images; from pi = rho on, until pi stays.

    Args:
        probs: (N, C) p.
        trained: (C,) rho.
        weights: (N,) how often each image counts; None: once.
        start: (C,) the first pi; None: rho.
        most_steps: at most so many.

    Returns:
        (C,) pi.

    >>> probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.1, 0.9]])
    >>> em_prior(probs, np.array([0.5, 0.5])).round(2)
    array([0.8, 0.2])
    """
    first = trained if start is None else np.maximum(start, _FLOOR)
    return _em(probs / np.maximum(trained, _FLOOR), first, weights, most_steps)


def _em(
    ratios: FloatArray,
    start: FloatArray,
    weights: FloatArray | None = None,
    most_steps: int = _STEPS,
    least_moved: float = _MOVED,
) -> FloatArray:
    """As ``em_prior``, of (N, C) p / rho, until no share moves by ``least_moved``."""
    shares = np.full(len(ratios), 1 / len(ratios)) if weights is None else weights / weights.sum()
    prior: FloatArray = start / start.sum()
    for _ in range(most_steps):
        likelihoods = ratios @ prior
        new = prior * ((shares / np.maximum(likelihoods, _FLOOR)) @ ratios)
        new /= new.sum()
        moved = float(np.abs(new - prior).max())
        prior = new
        if moved < least_moved:
            break
    return prior


def confusion(predicted: IntArray, labels: IntArray, num_labels: int) -> FloatArray:
    """(C, C) the share of each prediction (row) among the images of each label (column), of which each has some.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1. , 0.5],
           [0. , 0.5]])
    """
    counts = np.bincount(predicted * num_labels + labels, minlength=num_labels**2).reshape(num_labels, num_labels)
    found: FloatArray = counts / counts.sum(axis=0)
    return found


def invert_confusion(matrix: FloatArray, predicted: FloatArray) -> FloatArray:
    """The prior that explains the shares of predictions: Lipton, Wang and Smola 2018, https://arxiv.org/abs/1802.03916.

    Args:
        matrix: (C, C) as of ``confusion``.
        predicted: (C,) the share of each prediction among the images without labels.

    Returns:
        (C,) the solution of ``matrix`` pi = ``predicted``, what is below 0 set to 0, with sum 1.

    >>> invert_confusion(np.array([[0.9, 0.2], [0.1, 0.8]]), np.array([0.34, 0.66])).round(6)
    array([0.2, 0.8])
    """
    solved = np.maximum(np.linalg.lstsq(matrix, predicted, rcond=None)[0], 0.0)
    found: FloatArray = solved / max(solved.sum(), _FLOOR)
    return found


def _normalised(probs: FloatArray) -> FloatArray:
    """The probabilities, which are changed in place, with rows that sum to 1."""
    probs /= np.maximum(probs.sum(axis=1, keepdims=True), _FLOOR)
    return probs


def _check_occur(known: Answered, names: tuple[str, ...], possible: NDArray[np.bool_], what: str) -> None:
    if not len(known.labels):
        raise UserError(
            f"prior of {what}: is not identifiable: no image that the run's network answered without having trained on "
            f"it has {'all labels' if what == CLASSES else 'a label of it'}"
        )
    never = possible & (np.bincount(known.labels, minlength=len(names)) == 0)
    if never.any():
        images = "images with all labels" if what == CLASSES else "labelled images"
        first = names[int(np.argmax(never))]
        more = f" (and {never.sum() - 1} more)" if never.sum() > 1 else ""
        raise UserError(
            f"prior of {what}: is not identifiable: {first!r}{more} never occurs among the {len(known.labels):,} "
            f"{images} that the run's network answered without having trained on them"
        )


def _check_told_apart(
    probs: FloatArray, labels: IntArray, groups: IntArray, names: tuple[str, ...], what: str, seed: int
) -> float:
    """The condition number of the confusion matrix; UserError where it may as well be singular.

    Its least singular value must be beyond twice its standard error over resampled groups. Resamples that lack a label
    have none; where these are more than half, those that are left say nothing of the error.
    """
    num = probs.shape[1]
    predicted = probs.argmax(axis=1)
    of_group = np.unique(groups, return_inverse=True)[1]
    cells = np.zeros((of_group.max() + 1, num * num))
    np.add.at(cells, (of_group, predicted * num + labels), 1.0)
    singular = np.linalg.svd(confusion(predicted, labels, num), compute_uv=False)
    condition = float(singular[0] / max(singular[-1], _FLOOR))
    rng = np.random.default_rng(seed)
    least = []
    for _ in range(NUM_RESAMPLES):
        drawn = (rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells))) @ cells).reshape(num, num)
        sums = drawn.sum(axis=0)
        if (sums > 0).all():
            least.append(np.linalg.svd(drawn / sums, compute_uv=False)[-1])
    of_label = (cells.reshape(-1, num, num).sum(axis=1) > 0).sum(axis=0)
    if len(least) < NUM_RESAMPLES / 2 or of_label.min() < 2:
        few = int(of_label.min())
        raise UserError(
            f"prior of {what}: is not identifiable: of the {len(cells):,} labelled groups that the run's network "
            f"answered without having trained on them {few:,} {'has' if few == 1 else 'have'} "
            f"{names[int(of_label.argmin())]!r}, too few to say how well it is told from the others"
        )
    error = float(np.std(least))
    if condition > MOST_CONDITION or singular[-1] < 2 * error:
        raise UserError(
            f"prior of {what}: is not identifiable: the confusion matrix of its predictions is near-singular "
            f"(condition number {condition:.3g}, least singular value {singular[-1]:.3f} with a standard error of "
            f"{error:.3f}), so that many a prior explains them"
        )
    return condition


def _resampled(ratios: FloatArray, prior: FloatArray, groups: IntArray, seed: int) -> FloatArray:
    """(R, C) the priors of resampled groups; ``ratios`` as of ``_em``."""
    of_group = np.unique(groups, return_inverse=True)[1]
    num = int(of_group.max()) + 1
    rng = np.random.default_rng(seed)
    start = np.maximum(prior, 1e-3)  # a prior of 0 stays 0
    found = []
    for _ in range(NUM_RESAMPLES):
        drawn = rng.multinomial(num, np.full(num, 1 / num))[of_group].astype(float)
        found.append(_em(ratios, start, drawn, least_moved=_MOVED_RESAMPLED))
    return np.stack(found)
