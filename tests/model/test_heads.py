from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.labels import Task
from multitask.model.encoded import Encoded, Widths
from multitask.model.heads import AnyNet
from multitask.settings import validate, variant_classes

NETS = variant_classes(AnyNet)


TASK = Task("task", tuple("abcde"))


def build(name: str, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = validate(NETS[name], {"name": name, **changes}).build(Widths(12, 8), TASK)  # type: ignore[attr-defined]
    return OnPooled(net)


class OnPooled(nn.Module):
    """A head as of pooled features alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pooled: Tensor) -> Tensor:
        answer: Tensor = self.net(Encoded(pooled, pooled[:, None, :8]))
        return answer


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", NETS)
def test_gives_log_probs_and_finite_gradients_to_every_parameter(name: str, batch: int) -> None:
    net = build(name)
    features = torch.randn(batch, 12, requires_grad=True)
    log_probs = net(features)
    assert log_probs.shape == (batch, 5)
    assert log_probs.dtype == torch.float32
    assert torch.allclose(log_probs.exp().sum(dim=1), torch.ones(batch))
    log_probs.square().sum().backward()
    for tensor in (features, *net.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NETS)
def test_drops_only_in_training_and_only_where_asked(name: str) -> None:
    features = torch.randn(64, 12)
    dropping, plain = build(name, dropout=0.5), build(name)
    assert not torch.equal(dropping(features), dropping(features))
    assert torch.equal(plain(features), plain(features))
    dropping.eval()
    assert torch.equal(dropping(features), dropping(features))
    assert torch.equal(dropping(features), plain(features))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dropout", [-0.1, 1.0, "0.5"])
def test_impossible_dropout_is_refused(name: str, dropout: Any) -> None:
    with pytest.raises(UserError, match=r"^dropout: "):
        build(name, dropout=dropout)


def test_linear_is_linear_and_mlp_is_not() -> None:
    one, other = torch.randn(4, 12), torch.randn(4, 12)
    for name, linear in (("linear", True), ("mlp", False)):
        net = build(name)
        middle = net((one + other) / 2)
        between = ((net(one) + net(other)) / 2).log_softmax(dim=1)
        assert torch.allclose(middle, between, atol=1e-6) == linear
