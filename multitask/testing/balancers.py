"""The contract of balancers."""

from __future__ import annotations

import math
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from multitask.balancers import BalancerSettings
from multitask.balancers.base import Balancer
from multitask.testing.expect import expect, expect_equal, expect_refusal
from multitask.testing.toy_network import NAMES, Toy, learn
from multitask.training.checkpoint import load_checkpoint, save_checkpoint


def built(settings: BalancerSettings) -> Balancer:
    """A balancer of four losses, in its first epoch of three; with weights in the config, one of them 0, if it may."""
    own = (1.0, 0.5, 0.0, 2.0) if settings.takes_weights else (1.0,) * 4
    balancer = settings.build(dict(zip(NAMES, own, strict=True)))
    balancer.begin_epoch(1, 3)
    return balancer


def _weights(balancer: Balancer) -> Tensor:
    return torch.tensor(list(balancer.current_weights().values()))


def gives_finite_gradients_and_a_detached_finite_total(settings: BalancerSettings) -> None:
    """To the backbone, and to the heads of losses that count."""
    toy = Toy()
    total = built(settings).backward(*toy.losses())
    expect(total.shape == () and not total.requires_grad, settings, "give the batch's loss as a detached scalar")
    expect(torch.isfinite(total), settings, "give a finite loss of the batch")
    expect(torch.isfinite(toy.gradients()).all(), settings, "give finite gradients")
    expect(toy.gradient_of(toy.first) > 0, settings, "give the backbone a gradient")
    expect(all(toy.gradient_of(head) > 0 for head in toy.heads[:2]), settings, "give the heads gradients")


def goes_back_through_the_backbone_once(settings: BalancerSettings) -> None:
    """However many losses there are: a backward pass is what a step costs."""
    toy, balancer = Toy(), built(settings)
    for passes in (1, 2):
        balancer.backward(*toy.losses())
        expect(toy.passes == passes, settings, f"go back through the backbone once a step, not {toy.passes / passes:g}")


def keeps_nothing_of_the_graph_until_the_step(settings: BalancerSettings) -> None:
    """Else each batch's activations stay until the next."""
    balancer = built(settings)
    losses, step = Toy().losses()
    balancer.backward(losses, step)
    assert step.features is not None
    features = weakref.ref(step.features)
    del losses, step
    expect(features() is None, settings, "keep nothing of the graph after backward; of the step keep replay alone")


def scaled_losses_give_scaled_gradients_and_no_other_weights(settings: BalancerSettings, atol: float = 1e-5) -> None:
    """Mixed precision scales the losses; ``atol`` is for methods whose iterations stop at a tolerance."""
    found = []
    for scaled in (1.0, 2.0**-14):
        torch.manual_seed(1)
        balancer = built(settings)
        gradients = learn(balancer, Toy(), 3, scaled)
        found.append(torch.cat([gradients, _weights(balancer)]))
    rule = "give gradients that scale with the losses, and the same weights; the step's backward and jacobian do"
    expect_equal(found[1], found[0], settings, rule, atol, 1e-3)


def order_of_the_losses_does_not_matter(settings: BalancerSettings) -> None:
    """They come by name."""
    found = []
    for order in (1, -1):
        toy, balancer = Toy(), built(settings)
        losses, step = toy.losses()
        torch.manual_seed(1)
        balancer.backward(dict(list(losses.items())[::order]), step)
        found.append(toy.gradients())
    expect_equal(found[1], found[0], settings, "give the same gradients whatever order the losses come in")


def batch_without_labels_gives_zero_gradients(settings: BalancerSettings) -> None:
    """And does no harm to the steps that follow."""
    toy, balancer = Toy(), built(settings)
    losses, step = toy.losses()
    nothing = replace(step, replay=lambda: {head: loss.detach() * 0 for head, loss in losses.items()})
    balancer.backward({head: loss * 0 for head, loss in losses.items()}, nothing)
    expect((toy.gradients() == 0).all(), settings, "give gradients of exactly 0 where every loss is 0")
    own = [parameter.grad for parameter in balancer.parameters() if parameter.grad is not None]
    expect(all((one == 0).all() for one in own), settings, "leave its own parameters alone where every loss is 0")
    balancer.after_step()
    expect(torch.isfinite(learn(balancer, toy, 2)).all(), settings, "go on after a batch whose losses are all 0")
    expect(torch.isfinite(_weights(balancer)).all(), settings, "have finite weights after a batch of losses of 0")


def task_without_labels_leaves_the_others_what_they_were(settings: BalancerSettings) -> None:
    """One loss of exactly 0 beside others."""
    toy, balancer = Toy(), built(settings)
    losses, step = toy.losses()
    losses["mask"] = losses["mask"] * 0
    total = balancer.backward(losses, step)
    expect(torch.isfinite(total), settings, "give a finite loss of a batch where one of the losses is 0")
    expect(torch.isfinite(toy.gradients()).all(), settings, "give finite gradients where one of the losses is 0")
    expect(toy.gradient_of(toy.first) > 1e-3, settings, "give the backbone the other losses' gradient where one is 0")
    expect(toy.gradient_of(toy.heads[0]) == 0, settings, "give the head whose loss is 0 no gradient")
    expect(toy.gradient_of(toy.heads[1]) > 1e-3, settings, "give a head its gradient where another's loss is 0")


def loss_that_is_no_number_is_told_and_raises_nothing(settings: BalancerSettings) -> None:
    """The loop says what diverged."""
    losses, step = Toy().losses()
    losses["gender"] = losses["gender"] * math.nan
    total = built(settings).backward(losses, step)
    expect(torch.isnan(total), settings, "give NaN as the batch's loss where one of the losses is NaN")


def state_goes_round_through_a_checkpoint(settings: BalancerSettings) -> None:
    """A run that is resumed goes on as one that was never stopped."""
    balancer, toy = built(settings), Toy()
    for epoch in (1, 2):
        balancer.begin_epoch(epoch, 3)
        learn(balancer, toy, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_checkpoint(path, {"balancer": dict(balancer.state_dict()), "network": toy.state_dict()})
        state = load_checkpoint(path)
    fresh, other = built(settings), Toy()
    fresh.load_state_dict(state["balancer"])
    other.load_state_dict(state["network"])
    found = []
    for one, network in ((balancer, toy), (fresh, other)):
        torch.manual_seed(2)
        one.begin_epoch(3, 3)
        found.append(torch.cat([learn(one, network, 3), _weights(one)]))
    expect_equal(found[1], found[0], settings, "keep in its state all that later epochs depend on")


def goes_on_in_the_middle_of_an_epoch(settings: BalancerSettings) -> None:
    """From its parameters and all its buffers, those too that no state holds."""
    balancer, toy = built(settings), Toy()
    learn(balancer, toy, 3)
    fresh, other = built(settings), Toy()
    kept = dict([*balancer.named_parameters(), *balancer.named_buffers()])
    with torch.no_grad():
        for name, value in (*fresh.named_parameters(), *fresh.named_buffers()):
            value.copy_(kept[name])
    other.load_state_dict(toy.state_dict())
    found = []
    for one, network in ((balancer, toy), (fresh, other)):
        torch.manual_seed(2)
        found.append(torch.cat([learn(one, network, 3), _weights(one)]))
    expect_equal(found[1], found[0], settings, "keep in buffers all that later batches of an epoch depend on")


def says_what_every_loss_counts(settings: BalancerSettings) -> None:
    """For the record; none is negative, and their mean is about 1."""
    balancer = built(settings)
    learn(balancer, Toy(), 2)
    weights = balancer.current_weights()
    expect(tuple(weights) == NAMES, settings, f"say the weight of each loss in their order, not of {tuple(weights)}")
    expect(all(weight >= 0 for weight in weights.values()), settings, "have no weight below 0")
    mean = sum(weights.values()) / len(weights)
    expect(0.3 < mean < 4, settings, f"have weights of mean about 1, not {mean:g}: the learning rate relies on it")


def is_a_module_whose_parameters_an_optimiser_takes(settings: BalancerSettings) -> None:
    """They join the network's."""
    balancer = built(settings)
    expect(isinstance(balancer, nn.Module), settings, "be a module")
    floating = all(parameter.is_floating_point() for parameter in balancer.parameters())
    expect(floating, settings, "have floating-point parameters alone; what is counted is a buffer")


def weight_that_would_be_ignored_is_refused_by_name(settings: BalancerSettings) -> None:
    """Of methods that find the weights themselves."""
    settings.check({"mask": 1.0, "age": 1.0}, None)
    if settings.takes_weights:
        settings.check({"mask": 0.5, "age": 1.0, "joint": 2.0}, None)
        return
    rule = "refuse a weight in the config, which it would ignore; or say takes_weights"
    begins = "heads.mask.weight: 0.5 would be ignored"
    expect_refusal(lambda: settings.check({"mask": 0.5, "age": 1.0}, None), settings, begins, rule)
    begins = "joint.weight: 2 would be ignored"
    expect_refusal(lambda: settings.check({"mask": 1.0, "age": 1.0, "joint": 2.0}, None), settings, begins, rule)


def one_loss_is_refused_where_there_is_nothing_to_balance(settings: BalancerSettings) -> None:
    """Of methods that need several."""
    _refused_where(
        settings.needs_several,
        lambda: settings.check({"class": 1.0}, None if settings.needs_features else "it is frozen"),
        settings,
        f"balancer: {settings.name} needs several losses",
        "refuse one loss alone; or say needs_several is False",
    )


def nothing_shared_is_refused_where_it_is_needed(settings: BalancerSettings) -> None:
    """Of methods that read features which all losses share."""
    _refused_where(
        settings.needs_features,
        lambda: settings.check({"mask": 1.0, "age": 1.0}, "model.sharing is separate"),
        settings,
        f"balancer: {settings.name} needs features that all heads share and train, but model.sharing is separate",
        "refuse heads that share nothing, as it needs features",
    )


def _refused_where(
    needed: bool, action: Callable[[], object], settings: BalancerSettings, begins: str, rule: str
) -> None:
    if needed:
        expect_refusal(action, settings, begins, rule)
    else:
        action()


BALANCER_CHECKS = (
    gives_finite_gradients_and_a_detached_finite_total,
    goes_back_through_the_backbone_once,
    keeps_nothing_of_the_graph_until_the_step,
    scaled_losses_give_scaled_gradients_and_no_other_weights,
    order_of_the_losses_does_not_matter,
    batch_without_labels_gives_zero_gradients,
    task_without_labels_leaves_the_others_what_they_were,
    loss_that_is_no_number_is_told_and_raises_nothing,
    state_goes_round_through_a_checkpoint,
    goes_on_in_the_middle_of_an_epoch,
    says_what_every_loss_counts,
    is_a_module_whose_parameters_an_optimiser_takes,
    weight_that_would_be_ignored_is_refused_by_name,
    one_loss_is_refused_where_there_is_nothing_to_balance,
    nothing_shared_is_refused_where_it_is_needed,
)
"""What is checked of a balancer, each alone."""


def check_balancer(settings: BalancerSettings, atol: float = 1e-5) -> None:
    """The contract of balancers, whole, over one of them.

    >>> from multitask.balancers import BALANCERS
    >>> check_balancer(BALANCERS["equal"]())

    Args:
        settings: the balancer.
        atol: how exactly its gradients scale with the losses; more than 1e-5 is for iterations with a tolerance.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in BALANCER_CHECKS:
        if check is scaled_losses_give_scaled_gradients_and_no_other_weights:
            scaled_losses_give_scaled_gradients_and_no_other_weights(settings, atol)
        else:
            check(settings)
