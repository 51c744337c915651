"""The contract of heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.labels import Task
from multitask.model.encoder import Encoded, Widths
from multitask.model.heads import NetSettings
from multitask.testing.expect import expect, expect_equal, expect_refusal

WIDTHS = Widths(12, 8)


def built(settings: NetSettings, num_classes: int = 5) -> nn.Module:
    """The head of a task of so many classes in order, which every head can be of."""
    torch.manual_seed(0)
    return settings.build(WIDTHS, Task("task", tuple("abcdefghijkl"[:num_classes]), kind="ordinal"))


def encoded(batch: int = 3, scale: float = 1.0) -> Encoded:
    """Drawn features, leaves that want their gradients."""
    generator = torch.Generator().manual_seed(1)
    pooled = scale * torch.randn(batch, WIDTHS.pooled, generator=generator)
    places = scale * torch.randn(batch, 6, WIDTHS.map, generator=generator)
    return Encoded(pooled.requires_grad_(), places.requires_grad_())


def _read(settings: NetSettings, features: Encoded) -> Tensor:
    found = features.map if settings.reads_map else features.pooled
    assert found is not None
    return found


def _expect_normalised(settings: NetSettings, log_probs: Tensor, where: str, atol: float = 1e-6) -> None:
    sums = log_probs.exp().sum(dim=1)
    expect_equal(sums, torch.ones(len(log_probs)), settings, f"give probabilities that sum to 1 {where}", atol, 1e-5)


def gives_log_probs_and_finite_gradients_to_every_parameter(settings: NetSettings) -> None:
    """(B, C_t) float32, of batches of one image too."""
    for num_classes in (2, 3, 7):
        for batch in (1, 3):
            net, features = built(settings, num_classes), encoded(batch)
            log_probs = net(features)
            shape = (batch, num_classes)
            rule = f"give log-probabilities of shape {shape}, not {tuple(log_probs.shape)}"
            expect(log_probs.shape == shape, settings, rule)
            expect(log_probs.dtype == torch.float32, settings, f"give float32, not {log_probs.dtype}")
            _expect_normalised(settings, log_probs, f"for {num_classes} classes")
            log_probs.square().sum().backward()
            leaves = {"what it reads": _read(settings, features), **dict(net.named_parameters())}
            for name, tensor in leaves.items():
                if tensor.numel():
                    gradient = tensor.grad
                    expect(gradient is not None, settings, f"give a gradient to {name}")
                    assert gradient is not None
                    expect(torch.isfinite(gradient).all(), settings, f"give a finite gradient to {name}")
                    expect(gradient.abs().sum() > 0, settings, f"give a gradient other than 0 to {name}")


def begins_with_no_class_far_ahead(settings: NetSettings) -> None:
    """Untrained, on average over images, each of ten classes has about a tenth."""
    log_probs = built(settings, 10)(encoded(64))
    expect(log_probs.min() > -6, settings, "begin without a class that it all but excludes")
    ahead = (log_probs.exp().mean(dim=0) - 0.1).abs().max()
    expect(ahead < 0.1, settings, "begin with about the same probability for every class")


def extreme_features_leave_all_finite_and_normalised(settings: NetSettings) -> None:
    """And extreme weights."""
    for scale in (0.0, 1e-6, 1e3, 1e8):
        net, features = built(settings), encoded(scale=scale)
        for parameter in net.parameters():
            parameter.data *= 10
        log_probs = net(features)
        expect(torch.isfinite(log_probs).all(), settings, f"give finite log-probabilities of features of {scale:g}")
        _expect_normalised(settings, log_probs, f"of features of {scale:g}", 1e-5)
        F.nll_loss(log_probs, torch.tensor([0, 2, 4])).backward()
        for tensor in (_read(settings, features), *net.parameters()):
            finite = tensor.grad is not None and bool(torch.isfinite(tensor.grad).all())
            expect(finite, settings, f"have finite gradients at features of {scale:g}")


def half_precision_gives_float32_near_that_of_single(settings: NetSettings) -> None:
    """Within autocast to bfloat16."""
    net, features = built(settings), encoded(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = Encoded(features.pooled.bfloat16(), None if features.map is None else features.map.bfloat16())
        found = net(half)
    expect(found.dtype == torch.float32, settings, f"give float32 within autocast, not {found.dtype}")
    _expect_normalised(settings, found, "within autocast")
    expect_equal(found, net(features), settings, "answer within autocast nearly as without", 0.1)
    found.square().sum().backward()
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    expect(all(torch.isfinite(one).all() for one in gradients), settings, "have finite gradients within autocast")


def state_goes_round(settings: NetSettings) -> None:
    """All that its answers depend on is in its state."""
    net, other = built(settings), built(settings)
    for parameter in net.parameters():
        parameter.data += 0.1
    expect(not torch.equal(net(encoded()), other(encoded())), settings, "answer otherwise with other parameters")
    other.load_state_dict(net.state_dict())
    expect_equal(other(encoded()), net(encoded()), settings, "answer the same once its state is loaded")


def learns_its_task(settings: NetSettings) -> None:
    """Classes in order along one direction, which every head can tell apart."""
    net = built(settings, 3)
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(3).repeat(40)
    pooled, places = torch.randn(120, 12, generator=generator), torch.randn(120, 6, 8, generator=generator)
    pooled[:, 0] += 6 * (labels - 1)
    pooled[:, 1] += 6  # a direction knows no origin
    places[:, 2, :2] += 6 * torch.stack([labels - 1, 1 - labels], dim=1)[:, :2]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(80):
        optimizer.zero_grad()
        log_probs = net(Encoded(pooled, places))
        F.nll_loss(log_probs, labels).backward()
        optimizer.step()
    right = float((log_probs.argmax(dim=1) == labels).float().mean())
    expect(right > 0.95, settings, f"learn three classes that are easy to tell apart, not {right:.0%} of the images")


def drops_only_in_training_and_only_where_asked(settings: NetSettings) -> None:
    """``dropout``, which every head has."""
    features = encoded(64)
    dropping, plain = (built(settings.model_copy(update={"dropout": share})) for share in (0.5, 0.0))
    expect(not torch.equal(dropping(features), dropping(features)), settings, "drop features in training")
    expect(torch.equal(plain(features), plain(features)), settings, "drop nothing where dropout is 0")
    dropping.eval()
    expect(torch.equal(dropping(features), dropping(features)), settings, "drop nothing once training is over")
    expect_equal(dropping(features), plain(features), settings, "answer the same with dropout once training is over")


def only_a_head_for_classes_in_order_refuses_a_nominal_task(settings: NetSettings) -> None:
    """And none refuses classes in order."""
    settings.check(Task("age", ("a", "b"), kind="ordinal"))
    settings.check(Task("age", ("a", "b"), kind="binned"))
    nominal = Task("mask", ("a", "b"))
    if settings.ordinal:
        begins = f"heads.mask.net: {settings.name} needs classes in order, but mask is nominal"
        expect_refusal(lambda: settings.check(nominal), settings, begins, "refuse a nominal task, as it is ordinal")
    else:
        settings.check(nominal)


HEAD_CHECKS = (
    gives_log_probs_and_finite_gradients_to_every_parameter,
    begins_with_no_class_far_ahead,
    extreme_features_leave_all_finite_and_normalised,
    half_precision_gives_float32_near_that_of_single,
    state_goes_round,
    learns_its_task,
    drops_only_in_training_and_only_where_asked,
    only_a_head_for_classes_in_order_refuses_a_nominal_task,
)
"""What is checked of a head, each alone."""


def check_head(settings: NetSettings) -> None:
    """The contract of heads, whole, over one of them.

    >>> from multitask.model.heads import HEADS
    >>> check_head(HEADS["linear"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in HEAD_CHECKS:
        check(settings)
