"""The comparison of an exported file with its run, before the file is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multitask.data.images import Pixels
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.outputs import finite_log_probs
from multitask.evaluation.metrics import FloatArray
from multitask.inference.export.exported import CLASS, CLASS_PROBS, Difference, head_output
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT

TOLERANCE = 1e-4
"""The largest difference that is taken for rounding in float32, of a network that does not magnify it."""
ROUNDINGS = 4
"""Differences of so many times the network's own rounding are taken for such too. Two ways to compute it differ by the
rounding of both: were these alike and independent, by 1.4 times as much as one from the exact outputs."""
MOST = 1e-2
"""The largest difference of all that is taken for rounding: a network that magnifies it further cannot be checked."""
BATCHES = (1, 2, 33)
"""What is computed at a time: a graph may silently be fixed at one of them."""

Arrays = Mapping[str, NDArray[Any]]


def difference(
    compute: Callable[[Pixels], Arrays],
    reference: Callable[[Pixels], Arrays],
    pixels: Pixels,
    spec: InferenceSpec,
    tolerance: float = TOLERANCE,
) -> Difference:
    """How far what a graph computes is from the run's own outputs.

    Args:
        compute: images to the graph's outputs, by name.
        reference: images to the run's log-probabilities, per head.
        pixels: (N, H, W, 3), N >= 36, which are computed 1, 2 and from then on 33 at a time.
        spec: the run's.
        tolerance: by which scores of classes may differ and still be alike.
    """
    log_probs, class_probs, equal = [0.0], [0.0], []
    for batch in _batches(pixels):
        found = compute(batch)
        expected = reference(batch)
        outputs = _outputs(expected, spec)
        for name, values in outputs.tables().items():
            log_probs.append(_largest(finite_log_probs(np.asarray(found[head_output(name)], dtype=np.float64)), values))
        shifts = {name: np.array(values) for name, values in spec.shifts.items()}
        probs = posteriors(outputs, spec.temperatures, shifts).T
        class_probs.append(float(np.max(np.abs(np.nan_to_num(found[CLASS_PROBS], nan=2.0) - probs))))
        equal.append(_agreement(found, outputs, spec, tolerance))
    return Difference(
        log_probs=max(log_probs), class_probs=max(class_probs), agreement=float(np.concatenate(equal).mean())
    )


def rounding(network: nn.Module, pixels: Pixels, spec: InferenceSpec) -> float:
    """How far a network's log-probabilities in float32 are from its own in float64, as ``Difference`` has them.

    It is what the network makes of rounding: about 1e-6 as a rule, and thousands of times that where its layers magnify
    small differences. 0 where it cannot be computed in float64.

    Args:
        network: as of ``reference_of``.
        pixels: as of ``difference``.
        spec: its specification.
    """
    single = reference_of(network, spec)
    try:
        double = reference_of(copy.deepcopy(network).double(), spec, torch.float64)
        pairs = [(_outputs(single(batch), spec), _outputs(double(batch), spec)) for batch in _batches(pixels)]
    except RuntimeError:  # of code that makes float32 of its own
        return 0.0
    return max(_largest(one.tables()[name], exact) for one, other in pairs for name, exact in other.tables().items())


def tolerance_of(rounding: float) -> float:
    """The largest difference that is taken for rounding, of a network with so much of its own.

    >>> tolerance_of(1e-6), tolerance_of(1e-4), tolerance_of(1.0)
    (0.0001, 0.0004, 0.01)
    """
    return min(max(TOLERANCE, ROUNDINGS * rounding), MOST)


def _largest(found: FloatArray, expected: FloatArray) -> float:
    """The largest difference of log-probabilities, as ``Difference`` has it."""
    return float(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected))))


def _batches(pixels: Pixels) -> list[Pixels]:
    first, second, size = BATCHES
    cuts = [first, first + second, *range(first + second + size, len(pixels), size)]
    return [part for part in np.split(pixels, cuts) if len(part)]


def _outputs(log_probs: Arrays, spec: InferenceSpec) -> ModelOutputs:
    found = {name: finite_log_probs(np.asarray(values, dtype=np.float64)) for name, values in log_probs.items()}
    heads = {name: found[name] for name in spec.learned.task_names}
    return ModelOutputs(spec.learned, heads, found[JOINT] if spec.joint_term else None)


def _agreement(found: Arrays, outputs: ModelOutputs, spec: InferenceSpec, tolerance: float) -> NDArray[np.bool_]:
    """(N,) whether the class is the run's, or one that only rounding tells from it."""
    expected = spec.rule.decode(outputs)
    score = spec.rule.class_score(spec.learned, spec.joint_term)
    if score is None:  # the rule decides outside of the graph, by the log-probabilities alone
        return np.asarray(spec.rule.decode(_outputs(_by_head(found, spec), spec)) == expected)
    scores = score.of(outputs)
    rows = np.arange(len(expected))
    gap = scores[expected, rows] - scores[found[CLASS], rows]
    return np.asarray((found[CLASS] == expected) | (gap <= tolerance))


def _by_head(found: Arrays, spec: InferenceSpec) -> Arrays:
    names = [*spec.learned.task_names, *([JOINT] if spec.joint_term else [])]
    return {name: found[head_output(name)] for name in names}


def reference_of(
    network: Callable[[torch.Tensor], Any], spec: InferenceSpec, dtype: torch.dtype = torch.float32
) -> Callable[[Pixels], Arrays]:
    """Images to the log-probabilities of a network, per head, on the CPU.

    Args:
        network: (N, 3, H, W) to {head: (N, C_t) log-probabilities}, in evaluation mode.
        spec: its specification.
        dtype: of the network's weights.
    """
    preprocessing = spec.preprocessing()

    def compute(pixels: Pixels) -> dict[str, FloatArray]:
        with torch.inference_mode():
            answers = network(preprocessing.normalise(torch.from_numpy(np.ascontiguousarray(pixels))).to(dtype))
            return {name: values.double().log_softmax(dim=1).numpy() for name, values in answers.items()}

    return compute
