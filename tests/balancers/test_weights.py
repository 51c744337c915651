"""The methods that weight losses, against hand calculations and their papers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from multitask.balancers import FixedSettings
from multitask.balancers.adam import Adam
from multitask.balancers.base import Step
from multitask.balancers.gradnorm import GradNormBalancer
from multitask.balancers.settings import (
    DynamicAverageSettings,
    EqualSettings,
    FAMOSettings,
    GradNormSettings,
    RandomSettings,
    UncertaintySettings,
)

TWO = {"a": 1.0, "b": 1.0}
PLAIN = Step(lambda scalar: scalar)


def constants(*values: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in zip("ab", values, strict=True)}


def test_fixed_is_the_weighted_sum() -> None:
    losses = constants(5.0, -3.0)
    total = FixedSettings().build({"a": 1.0, "b": 0.5}).backward(losses, PLAIN)
    assert float(total) == pytest.approx(3.5)
    assert losses["b"].grad == pytest.approx(0.5)


def test_equal_is_the_plain_sum() -> None:
    assert float(EqualSettings().build(TWO).backward(constants(5.0, -3.0), PLAIN)) == pytest.approx(2.0)


def test_uncertainty_rests_where_the_variance_is_twice_the_loss() -> None:
    balancer = UncertaintySettings().build(TWO)
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        total = balancer.backward(constants(2.0, 0.125), PLAIN)
        optimizer.step()
    assert balancer.current_weights() == pytest.approx({"a": 1 / 4, "b": 4.0}, rel=1e-4)
    assert float(total) == pytest.approx(2 / 4 + math.log(4) / 2 + 0.125 * 4 + math.log(0.25) / 2, rel=1e-4)


def test_dynamic_average_by_hand() -> None:
    balancer = DynamicAverageSettings().build(TWO)
    for epoch, batches in enumerate([[(2.0, 1.0), (0.0, 3.0)], [(1.0, 1.8)], [(1.0, 9.0)]], start=1):
        balancer.begin_epoch(epoch, 4)
        assert balancer.current_weights() == pytest.approx(
            {1: TWO, 2: TWO, 3: {"a": 2 * 0.450166, "b": 2 * 0.549834}}[epoch], rel=1e-5
        )  # at the third: softmax of (1 / 2) / 2 and (1.8 / 2) / 2, the mean of a being of the one batch with labels
        for batch in batches:
            balancer.backward(constants(*batch), PLAIN)


def test_random_weights_have_a_mean_of_1_and_differ_from_batch_to_batch() -> None:
    balancer = RandomSettings().build(TWO)
    torch.manual_seed(0)
    balancer.begin_epoch(1, 1)
    drawn = []
    for _ in range(400):
        losses = constants(1.0, 1.0)
        assert float(balancer.backward(losses, PLAIN)) == pytest.approx(2.0)
        assert losses["a"].grad is not None
        drawn.append(float(losses["a"].grad))
    spread = torch.tensor(drawn)
    # 2 * sigmoid of a normal number of variance 2
    assert float(spread.mean()) == pytest.approx(1.0, abs=0.1)
    assert float(spread.std()) == pytest.approx(0.53, abs=0.06)
    assert balancer.current_weights()["a"] == pytest.approx(float(spread.mean()))


def test_adam_is_torchs() -> None:
    ours, numbers = Adam(2, lr=0.1), torch.zeros(2)
    theirs = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.1)
    for gradient in torch.randn(20, 2, generator=torch.Generator().manual_seed(0)):
        numbers -= ours(gradient)
        theirs.grad = gradient
        optimizer.step()
    assert torch.allclose(numbers, theirs, atol=1e-6)


# --- FAMO -------------------------------------------------------------------------------------------------------


def test_famo_by_hand() -> None:
    balancer = FAMOSettings(lr=0.1, decay=0.0).build(TWO)
    losses = constants(4.0, 1.0)
    step = replace(PLAIN, replay=lambda: {"a": torch.tensor(2.0), "b": torch.tensor(1.0)})
    total = balancer.backward(losses, step)
    # z = (1/2, 1/2), so the weights are as 1/4 to 1, with a sum of 2.
    assert balancer.current_weights() == pytest.approx({"a": 0.4, "b": 1.6}, rel=1e-5)
    assert float(total) == pytest.approx(4 * 0.4 + 1.6, rel=1e-5)
    balancer.after_step()
    # The logarithm of a fell by log 2, that of b not at all; Adam's first step has the length of its rate.
    assert balancer.logits.tolist() == pytest.approx([-0.1, 0.1], rel=1e-4)


def test_famo_moves_as_the_authors_code_does() -> None:
    balancer = FAMOSettings().build(TWO)
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.025, weight_decay=0.001)
    values = torch.rand(30, 2, 2, generator=torch.Generator().manual_seed(1)) + 0.1
    for before, after in values:
        replayed = dict(zip("ab", after, strict=True))
        balancer.backward(constants(*before.tolist()), replace(PLAIN, replay=lambda found=replayed: found))  # type: ignore[misc]
        balancer.after_step()
        with torch.enable_grad():
            falls = before.log() - after.log()
            (logits.grad,) = torch.autograd.grad(logits.softmax(0), logits, grad_outputs=falls)
        optimizer.step()
    assert torch.allclose(balancer.logits, logits, atol=1e-5)


def test_famo_lowers_losses_of_different_scales_at_one_rate() -> None:
    """Two bowls, one a thousand times as deep: the plain sum forgets the other, FAMO halves both alike."""
    rates = {}
    for settings in (EqualSettings(), FAMOSettings()):
        balancer = settings.build(TWO)
        place = torch.tensor([3.0, -3.0], requires_grad=True)

        def losses(place: Tensor = place) -> dict[str, Tensor]:
            return {"a": 1000 * (place**2).mean(), "b": ((place - 1) ** 2).mean()}

        first = {name: float(loss.detach()) for name, loss in losses().items()}
        for _ in range(100):
            place.grad = None
            balancer.backward(losses(), replace(PLAIN, replay=losses))
            assert place.grad is not None
            with torch.no_grad():
                place -= 0.02 * place.grad / place.grad.norm()
                balancer.after_step()
        last = {name: float(loss.detach()) for name, loss in losses().items()}
        rates[settings.name] = {name: math.log(first[name] / last[name]) for name in first}
    gap = {name: abs(rate["a"] - rate["b"]) for name, rate in rates.items()}
    assert min(rates["famo"].values()) > 0
    assert gap["famo"] < 0.8 * gap["equal"]


# --- GradNorm ---------------------------------------------------------------------------------------------------


def scaled_tasks(scales: tuple[float, float]) -> tuple[nn.Module, list[nn.Module], Tensor, list[Tensor]]:
    """The paper's toy (section 4.1): f_i(x) = s_i tanh((B + E_i) x) for one x, a shared layer, a head for each."""
    torch.manual_seed(0)
    shared, heads = nn.Linear(20, 16), [nn.Linear(16, 8) for _ in scales]
    inputs, basis = torch.randn(64, 20), torch.randn(20, 8)
    targets = [s * torch.tanh(inputs @ (basis + 0.3 * torch.randn(20, 8)) / 4) for s in scales]
    return shared, heads, inputs, targets


def force_ratios(balancer: GradNormBalancer, steps: int) -> tuple[float, float]:
    """The forces' ratio at the shared layer, first and last, of two tasks of scales 1 and 5."""
    shared, heads, inputs, targets = scaled_tasks((1.0, 5.0))
    parameters = [*shared.parameters(), *(weight for head in heads for weight in head.parameters())]
    optimizer = torch.optim.SGD(parameters, lr=0.005)
    ratios = []
    for _ in range(steps):
        optimizer.zero_grad()
        features = torch.relu(shared(inputs))
        losses = {
            name: ((head(features) - target) ** 2).mean()
            for name, head, target in zip("ab", heads, targets, strict=True)
        }
        norms = [torch.autograd.grad(loss, shared.weight, retain_graph=True)[0].norm() for loss in losses.values()]
        weights = balancer.current_weights()
        ratios.append(float(weights["b"] * norms[1] / (weights["a"] * norms[0])))
        balancer.backward(losses, Step(lambda scalar: scalar, features, (shared.weight,)))  # type: ignore[arg-type]
        optimizer.step()
    return ratios[0], ratios[-1]


def test_gradnorm_brings_tasks_of_different_scales_to_one_force() -> None:
    balancer = GradNormSettings(alpha=0.0).build(TWO)
    first, last = force_ratios(balancer, 200)
    assert first > 4
    assert last == pytest.approx(1.0, abs=0.15)
    weights = balancer.current_weights()
    assert sum(weights.values()) == pytest.approx(2.0)
    assert weights["a"] > 3 * weights["b"]


def test_gradnorm_by_hand() -> None:
    """One shared weight v at 1; L_a = 3 v and L_b = v, so the gradients are 3 and 1, the forces too."""
    balancer = GradNormSettings(alpha=1.0, lr=0.1).build(TWO)
    weight = torch.tensor([1.0], requires_grad=True)
    step = Step(lambda scalar: scalar, None, (weight,))
    balancer.backward({"a": (3 * weight).sum(), "b": weight.sum()}, step)
    assert weight.grad == pytest.approx(4.0)  # the weights were 1 yet
    # Goal: the mean force, 2, for both. a is above it, b below: Adam's first step takes .1 from a and gives it to b.
    assert balancer.current_weights() == pytest.approx({"a": 0.9, "b": 1.1}, rel=1e-4)
    assert balancer.initial.tolist() == [3.0, 1.0]


def test_gradnorm_pulls_harder_where_the_loss_fell_less() -> None:
    """Equal gradients, but a is at half of its first loss and b at all of it: the goals are 2/3 and 4/3 of the mean."""
    balancer = GradNormSettings(alpha=1.0, lr=0.1).build(TWO)
    balancer.initial.copy_(torch.tensor([2.0, 1.0]))
    weight = torch.tensor([1.0], requires_grad=True)
    balancer.backward({"a": weight.sum(), "b": weight.sum()}, Step(lambda scalar: scalar, None, (weight,)))
    assert balancer.current_weights() == pytest.approx({"a": 0.9, "b": 1.1}, rel=1e-4)
