"""The log-priors in the outputs of an ensemble, from those in its members'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multitask.data.dataset import Dataset
from multitask.data.samples import Samples
from multitask.evaluation.calibration import marginals
from multitask.evaluation.decode import Priors
from multitask.evaluation.decode.outputs import product
from multitask.evaluation.metrics import FloatArray
from multitask.labels import JOINT
from multitask.model.opinion_pool import OutputForm
from multitask.runs.config import TrainedRun
from multitask.runs.ensemble_parts import ensemble_form
from multitask.runs.report import decode_priors, natural_priors


def ensemble_priors(
    trained: TrainedRun, parts: Sequence[TrainedRun], weights: Mapping[str, Sequence[float]], samples: Samples
) -> Priors:
    """The priors in the outputs of a pool: a member that was trained for other ones shifts them by its weight.

    Args:
        trained: the ensemble.
        parts: its members.
        weights: per output of the ensemble, theirs.
        samples: whose labels have the natural priors.
    """
    form = ensemble_form(trained.config)
    natural = natural_priors(samples, form.learned)
    shifts = [_shifts(part, form) for part in parts]
    implied = {
        name: natural[name] + sum(weight * own[name] for weight, own in zip(row, shifts, strict=True))
        for name, row in weights.items()
    }
    return Priors({**natural, **implied}, natural)


def _shifts(part: TrainedRun, form: OutputForm) -> dict[str, FloatArray]:
    """Per output of the ensemble, the log-prior in a member's outputs less that of the labels it was trained on."""
    config = part.config
    dataset = Dataset.read(config.data, config.space(), config.seed)
    train = dataset.training_samples() if part.folder.num_folds is None else dataset.without_test()
    own = config.learned_space()
    priors = decode_priors(config.objective(), train, config.data.sampler)
    found = {name: priors.implied[name] - priors.natural[name] for name in (*own.task_names, JOINT)}
    if own == form.learned:
        joint = found[JOINT] if config.evaluation().joint_term else product(found, own)
        return {**found, JOINT: joint}
    (name,) = own.task_names
    before, after = (marginals(np.exp(values[name])[None], form.learned) for values in (priors.natural, priors.implied))
    heads = {task: np.log(after[task][0] / before[task][0]) for task in form.learned.task_names}
    return {**heads, JOINT: found[name]}
