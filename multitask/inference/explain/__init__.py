"""Explanations of a run's predictions: where in an image the evidence of each head lies."""

from collections.abc import Mapping

from multitask.inference.explain.attention_gradient import AttentionGradient
from multitask.inference.explain.attention_weights import AttentionWeights
from multitask.inference.explain.grad_cam import GradCAM
from multitask.inference.explain.input_gradient import InputGradient
from multitask.inference.explain.methods import Method

METHODS: Mapping[str, Method] = {
    method.name: method for method in (AttentionWeights(), AttentionGradient(), GradCAM(), InputGradient())
}
"""The table of methods; the first that fits a trunk and a head is theirs."""

__all__ = ["METHODS", "Method"]
