"""What holds of every balancer."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from multitask.balancers import BALANCERS, BalancerSettings
from multitask.balancers.base import Balancer, Step
from multitask.settings import validate
from multitask.training.checkpoint import load_checkpoint, save_checkpoint

ROWS = BALANCERS
NAMES = ("mask", "gender", "age", "joint")

every_balancer = pytest.mark.parametrize("name", ROWS)


def settings_of(name: str) -> BalancerSettings:
    found = ROWS[name]()
    assert isinstance(found, BalancerSettings)
    return found


def build(name: str) -> Balancer:
    settings = settings_of(name)
    own = (1.0, 0.5, 0.0, 2.0) if settings.takes_weights else (1.0,) * 4
    balancer = settings.build(dict(zip(NAMES, own, strict=True)))
    balancer.begin_epoch(1, 3)
    return balancer


class Toy(nn.Module):
    """A backbone of two layers, and a head for each loss; what is walked back is counted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 4)
        self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in NAMES)
        self.inputs, self.labels = torch.randn(7, 5), torch.randint(0, 3, (len(NAMES), 7))
        self.walks = 0

    def _count(self, gradient: Tensor) -> None:
        self.walks += 1

    def losses(self, scaled: float = 1.0) -> tuple[dict[str, Tensor], Step]:
        hidden = self.first(self.inputs)
        if hidden.requires_grad:
            hidden.register_hook(self._count)
        features = self.last(torch.tanh(hidden))
        losses = {
            name: nn.functional.cross_entropy(head(features), labels)
            for name, head, labels in zip(NAMES, self.heads, self.labels, strict=True)
        }
        return losses, Step(lambda scalar: scalar * scaled, features, (self.last.weight,), replay=self.replay)

    def gradients(self) -> list[Tensor]:
        found = [weight.grad for weight in self.parameters()]
        return [torch.zeros(()) if gradient is None else gradient.clone() for gradient in found]

    def replay(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.losses()[0]


def learn(balancer: Balancer, toy: Toy, steps: int, scaled: float = 1.0) -> Tensor:
    """Some steps, and the gradients and the total of the last one as one vector."""
    parameters = [*toy.parameters(), *balancer.parameters()]
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = None
        total = balancer.backward(*toy.losses(scaled))
        found = torch.cat([total.reshape(1), *(gradient.flatten() / scaled for gradient in toy.gradients())])
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter -= 0.3 * parameter.grad / scaled
        balancer.after_step()
    return found


@every_balancer
def test_gives_finite_gradients_and_a_detached_finite_total(name: str) -> None:
    toy = Toy()
    total = build(name).backward(*toy.losses())
    assert total.shape == ()
    assert not total.requires_grad
    assert torch.isfinite(total)
    assert all(torch.isfinite(gradient).all() for gradient in toy.gradients())
    assert toy.first.weight.grad is not None
    assert toy.first.weight.grad.abs().sum() > 0
    assert all(head.weight.grad.abs().sum() > 0 for head in toy.heads[:2])


@every_balancer
def test_walks_back_through_the_backbone_once(name: str) -> None:
    toy, balancer = Toy(), build(name)
    for walks in (1, 2):
        balancer.backward(*toy.losses())
        assert toy.walks == walks


@every_balancer
def test_keeps_nothing_of_the_graph_until_the_step(name: str) -> None:
    balancer = build(name)
    losses, step = Toy().losses()
    balancer.backward(losses, step)
    assert step.features is not None
    features = weakref.ref(step.features)
    del losses, step
    assert features() is None


@every_balancer
def test_scaled_losses_give_scaled_gradients_and_no_other_weights(name: str) -> None:
    found = []
    for scaled in (1.0, 2.0**-14):
        torch.manual_seed(1)
        balancer = build(name)
        gradients = learn(balancer, Toy(), 3, scaled)
        found.append(torch.cat([gradients, torch.tensor(list(balancer.current_weights().values()))]))
    # MGDA's iterations stop at a tolerance.
    assert torch.allclose(*found, rtol=1e-3, atol=1e-3 if name == "mgda" else 1e-5)


@every_balancer
def test_order_of_the_losses_does_not_matter(name: str) -> None:
    found = []
    for order in (1, -1):
        toy, balancer = Toy(), build(name)
        losses, step = toy.losses()
        torch.manual_seed(1)
        balancer.backward(dict(list(losses.items())[::order]), step)
        found.append(torch.cat([gradient.flatten() for gradient in toy.gradients()]))
    assert torch.equal(*found)


@every_balancer
def test_batch_without_labels_gives_zero_gradients(name: str) -> None:
    toy, balancer = Toy(), build(name)
    losses, step = toy.losses()
    nothing = replace(step, replay=lambda: {head: loss.detach() * 0 for head, loss in losses.items()})
    balancer.backward({head: loss * 0 for head, loss in losses.items()}, nothing)
    assert all((gradient == 0).all() for gradient in toy.gradients())
    assert all(parameter.grad is None or (parameter.grad == 0).all() for parameter in balancer.parameters())
    balancer.after_step()
    learned = learn(balancer, toy, 2)
    assert torch.isfinite(learned).all()
    assert all(math.isfinite(weight) for weight in balancer.current_weights().values())


@every_balancer
def test_task_without_labels_leaves_the_others_what_they_were(name: str) -> None:
    toy, balancer = Toy(), build(name)
    losses, step = toy.losses()
    losses["mask"] = losses["mask"] * 0
    total = balancer.backward(losses, step)
    assert torch.isfinite(total)
    assert toy.first.weight.grad is not None
    assert torch.isfinite(toy.first.weight.grad).all()
    assert toy.first.weight.grad.abs().sum() > 1e-3
    assert (toy.heads[0].weight.grad == 0).all()
    assert toy.heads[1].weight.grad.abs().sum() > 1e-3


@every_balancer
def test_loss_that_is_no_number_is_told_and_raises_nothing(name: str) -> None:
    toy = Toy()
    losses, step = toy.losses()
    losses["gender"] = losses["gender"] * math.nan
    assert torch.isnan(build(name).backward(losses, step))


@every_balancer
def test_state_goes_round_through_a_checkpoint(name: str, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    balancer, toy = build(name), Toy()
    for epoch in (1, 2):
        balancer.begin_epoch(epoch, 3)
        learn(balancer, toy, 3)
    save_checkpoint(path, {"balancer": dict(balancer.state_dict()), "network": toy.state_dict()})
    fresh = build(name)
    state = load_checkpoint(path)
    fresh.load_state_dict(state["balancer"])
    other = Toy()
    other.load_state_dict(state["network"])
    found = []
    for one, network in ((balancer, toy), (fresh, other)):
        torch.manual_seed(2)
        one.begin_epoch(3, 3)
        found.append(learn(one, network, 3))
        found.append(torch.tensor(list(one.current_weights().values())))
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])


@every_balancer
def test_says_what_every_loss_counts(name: str) -> None:
    balancer = build(name)
    learn(balancer, Toy(), 2)
    weights = balancer.current_weights()
    assert tuple(weights) == NAMES
    assert all(weight >= 0 for weight in weights.values())
    assert 0.3 < sum(weights.values()) / len(weights) < 4


@every_balancer
def test_is_a_module_whose_parameters_an_optimiser_takes(name: str) -> None:
    assert isinstance(build(name), nn.Module)
    assert all(parameter.is_floating_point() for parameter in build(name).parameters())


# --- what is refused --------------------------------------------------------------------------------------------


@every_balancer
def test_weight_that_would_be_ignored_is_refused_by_name(name: str) -> None:
    settings = settings_of(name)
    settings.check({"mask": 1.0, "age": 1.0}, None)
    if settings.takes_weights:
        settings.check({"mask": 0.5, "age": 1.0, "joint": 2.0}, None)
        return
    with pytest.raises(ValueError, match=rf"^heads\.mask\.weight: 0\.5 would be ignored.* {name} "):
        settings.check({"mask": 0.5, "age": 1.0}, None)
    with pytest.raises(ValueError, match=r"^joint\.weight: 2 would be ignored"):
        settings.check({"mask": 1.0, "age": 1.0, "joint": 2.0}, None)


@every_balancer
def test_one_loss_is_refused_where_there_is_nothing_to_balance(name: str) -> None:
    settings = settings_of(name)
    if not settings.needs_several:
        settings.check({"class": 1.0}, "it is frozen")
        return
    with pytest.raises(ValueError, match=rf"^balancer: {name} needs several losses.*'class'"):
        settings.check({"class": 1.0}, None)


@every_balancer
def test_nothing_shared_is_refused_where_it_is_needed(name: str) -> None:
    settings = settings_of(name)
    if not settings.needs_features:
        settings.check({"mask": 1.0, "age": 1.0}, "model.sharing is separate")
        return
    with pytest.raises(ValueError, match=rf"^balancer: {name} needs features .*model\.sharing is separate"):
        settings.check({"mask": 1.0, "age": 1.0}, "model.sharing is separate")


@pytest.mark.parametrize(
    ("name", "missing", "told"),
    [
        ("pcgrad", "torchjd", "torchjd"),
        ("cagrad", "cvxpy", "cvxpy"),
        ("upgrad", "quadprog", "quadprog"),
        ("mgda", "torchjd", "torchjd"),
    ],
)
def test_extra_that_is_not_installed_is_named_with_the_line_that_installs_it(
    name: str, missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "multitask.balancers.settings.find_spec", lambda package: None if package == missing else package
    )
    with pytest.raises(ValueError) as caught:
        settings_of(name).check({"mask": 1.0, "age": 1.0}, None)
    assert str(caught.value) == (
        f'balancer: {name} needs {told}, which is not installed; pip install "multitask[torchjd]"'
    )


def test_methods_without_the_extra_do_not_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.balancers.settings.find_spec", lambda package: None)
    for name in ("fixed", "famo", "gradnorm", "nash_mtl"):
        settings_of(name).check({"mask": 1.0, "age": 1.0}, None)


def test_options_are_checked() -> None:
    for name, wrong in (("dynamic_average", {"temperature": 0.0}), ("gradnorm", {"lr": 0.0}), ("cagrad", {"c": -1.0})):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            validate(ROWS[name], {"name": name, **wrong})
