from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.labels import Task
from multitask.model.encoder import Encoded, Widths
from multitask.model.heads import HEADS, NetSettings
from multitask.model.heads.attention import AttentionHead
from multitask.model.heads.ordinal import coral_log_probs, corn_log_probs
from multitask.model.heads.settings import MAX_SCALE
from multitask.settings import validate
from multitask.testing.heads import HEAD_CHECKS, WIDTHS, encoded

NETS = HEADS
every_net = pytest.mark.parametrize("name", NETS)


def settings(name: str, **changes: Any) -> NetSettings:
    found = validate(NETS[name], {"name": name, **changes})
    assert isinstance(found, NetSettings)
    return found


def build(name: str, num_classes: int = 5, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    task = Task("task", tuple("abcdefghijkl"[:num_classes]), kind="ordinal")
    return settings(name, **changes).build(WIDTHS, task)


@every_net
@pytest.mark.parametrize("check", HEAD_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[NetSettings], None], name: str) -> None:
    check(settings(name))


@every_net
@pytest.mark.parametrize("dropout", [-0.1, 1.0, "0.5"])
def test_impossible_dropout_is_refused(name: str, dropout: Any) -> None:
    with pytest.raises(UserError, match=r"^dropout: "):
        build(name, dropout=dropout)


def test_heads_for_classes_in_order_say_so() -> None:
    assert [name for name, row in HEADS.items() if row.ordinal] == ["corn", "coral"]


def test_linear_is_linear_and_mlp_is_not() -> None:
    one, other = torch.randn(4, 12), torch.randn(4, 12)
    for name, linear in (("linear", True), ("mlp", False)):
        net = build(name)
        middle = net(Encoded((one + other) / 2))
        between = ((net(Encoded(one)) + net(Encoded(other))) / 2).log_softmax(dim=1)
        assert torch.allclose(middle, between, atol=1e-6) == linear


# --- attention --------------------------------------------------------------------------------------------------


def test_attention_begins_as_the_mean_over_the_places_and_then_looks_where_its_query_points() -> None:
    net = build("attention", width=8, num_heads=2)
    assert isinstance(net, AttentionHead)
    places = torch.randn(2, 6, 8)
    mean = net.value(net.norm(places)).mean(dim=1)
    expected = net.classify(mean).log_softmax(dim=1)
    torch.testing.assert_close(net(Encoded(torch.zeros(2, 12), places)), expected)
    place = net.norm(places)[0, 3]
    with torch.no_grad():
        net.query[0] = 100 * place
    attention = net.attention(net.norm(places))
    assert attention.shape == (2, 2, 6)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 2))
    assert attention[0, 0, 3] > 0.99
    torch.testing.assert_close(attention[:, 1], torch.full((2, 6), 1 / 6))


def test_attention_does_not_mind_the_order_of_the_places() -> None:
    net, places = build("attention"), torch.randn(2, 6, 8)
    with torch.no_grad():
        net.query.normal_()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    pooled = torch.zeros(2, 12)
    torch.testing.assert_close(net(Encoded(pooled, places)), net(Encoded(pooled, places[:, order])))


def test_attention_is_refused_where_it_cannot_be_built() -> None:
    with pytest.raises(UserError, match=r"^width must be a multiple of num_heads \(3\), found 256$"):
        settings("attention", num_heads=3)
    with pytest.raises(UserError, match=r"^heads\.age\.net: attention needs one last feature map"):
        settings("attention").build(Widths(12, 0), Task("age", ("a", "b")))


# --- cosine -----------------------------------------------------------------------------------------------------


def test_cosine_knows_only_directions() -> None:
    net, features = build("cosine"), torch.randn(4, 12)
    torch.testing.assert_close(net(Encoded(features)), net(Encoded(7 * features)))
    cosines = F.cosine_similarity(features[:, None], net.weight[None], dim=2)
    torch.testing.assert_close(net(Encoded(features)), (math.sqrt(12) * cosines).log_softmax(dim=1))


def test_cosine_learns_its_scale_only_where_asked_and_only_so_far() -> None:
    learned, fixed = build("cosine", scale=4.0), build("cosine", scale=4.0, learn_scale=False)
    assert len(list(learned.parameters())) == 2
    assert len(list(fixed.parameters())) == len(fixed.state_dict()) == 1
    features = encoded()
    assert torch.equal(learned(features), fixed(features))
    with torch.no_grad():
        learned.log_scale.fill_(50.0)  # type: ignore[operator]
    log_probs = learned(features)
    cosines = F.cosine_similarity(features.pooled[:, None], learned.weight[None], dim=2)  # type: ignore[index]
    torch.testing.assert_close(log_probs, (MAX_SCALE * cosines).log_softmax(dim=1), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"^heads\.age\.net\.scale: must be below 100 to be learned, found 200$"):
        settings("cosine", scale=200.0).check(Task("age", ("a", "b")))
    settings("cosine", scale=200.0, learn_scale=False).check(Task("age", ("a", "b")))


# --- ordinal ----------------------------------------------------------------------------------------------------


def corn_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, int]:
    """The sum of equation 5 of Shi et al. 2021, and the number of terms that it is divided by, term by term."""
    total, terms = torch.zeros(()), 0
    for threshold in range(logits.shape[1]):
        for logit, label in zip(logits[:, threshold], labels.tolist(), strict=True):
            if label < threshold:  # not in the threshold's conditional subset
                continue
            above = torch.sigmoid(logit)
            total = total - torch.log(above if label > threshold else 1 - above)
            terms += 1
    return total, terms


@pytest.mark.parametrize("num_classes", [2, 3, 6])
def test_the_likelihood_of_corns_chain_rule_is_the_papers_loss(num_classes: int) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(20, num_classes - 1, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(0, num_classes, (20,), generator=generator)
    likelihood = F.nll_loss(corn_log_probs(logits), labels, reduction="sum")
    loss, terms = corn_loss(logits, labels)
    assert terms > 0
    torch.testing.assert_close(likelihood, loss.double())
    one, other = (torch.autograd.grad(value, logits)[0] for value in (likelihood, loss))
    torch.testing.assert_close(one, other)


def test_corns_chain_rule_by_hand() -> None:
    # P(y > 0) = 3/4, P(y > 1 | y >= 1) = 1/3
    logits = torch.tensor([[math.log(3), math.log(1 / 2)]])
    expected = torch.tensor([[1 / 4, 3 / 4 * 2 / 3, 3 / 4 * 1 / 3]])
    torch.testing.assert_close(corn_log_probs(logits).exp(), expected)


def test_corals_classes_are_the_differences_of_its_thresholds() -> None:
    net = build("coral", 4)
    with torch.no_grad():
        net.gaps.copy_(torch.tensor([-2.0, 1.0]))
    features = torch.randn(8, 12)
    above = torch.sigmoid(net.direction(features) + net.thresholds())
    expected = torch.cat([torch.ones(8, 1), above], 1) - torch.cat([above, torch.zeros(8, 1)], 1)
    torch.testing.assert_close(net(Encoded(features)).exp(), expected)
    assert sum(parameter.numel() for parameter in net.parameters()) == 12 + 3  # one direction for all thresholds


@given(
    st.lists(st.floats(-90, 90), min_size=1, max_size=6),
    st.floats(-1e4, 1e4),
)
def test_corals_thresholds_fall_and_its_probabilities_sum_to_one_whatever_it_learned(
    gaps: list[float], first: float
) -> None:
    free = torch.tensor(gaps, dtype=torch.float64)
    logits = (first - F.pad(F.softplus(free).cumsum(0), (1, 0)))[None]
    assert (logits.diff(dim=1) <= 0).all()
    log_probs = coral_log_probs(logits, free)
    assert torch.isfinite(log_probs).all()
    assert log_probs.exp().sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["corn", "coral"])
def test_ordinal_heads_begin_with_all_classes_alike(name: str) -> None:
    log_probs = build(name, 6)(Encoded(torch.zeros(1, 12)))
    weights = build(name, 6)
    torch.testing.assert_close(weights(Encoded(torch.zeros(1, 12))), log_probs)
    torch.testing.assert_close(log_probs.exp(), torch.full((1, 6), 1 / 6))
