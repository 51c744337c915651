from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from multitask.labels import LabelSpace, Task
from multitask.model import SHARINGS
from multitask.model.encoder import Encoded
from multitask.model.heads import AttentionSettings, LinearSettings, MLPSettings
from multitask.model.network import ByTask, Network
from multitask.model.settings import BackboneSettings, LowRankSettings

NEEDED: dict[str, dict[str, Any]] = {"branch": {"at": "layer2"}}
ONE_TRUNK = ("shared", "flat")
SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("type", ("a", "b"))], [{"colour": "red", "type": "b"}]
)


def build(sharing: str = "shared", **backbone: Any) -> tuple[Network, LabelSpace]:
    torch.manual_seed(0)
    row = SHARINGS[sharing](**NEEDED.get(sharing, {}))
    learned = row.learned(SPACE)  # type: ignore[attr-defined]
    nets = dict.fromkeys(learned.task_names, MLPSettings(hidden=8))
    settings = BackboneSettings(name="test_resnet", weights="none", **backbone)
    encoder = row.build(settings, (32, 24), learned.task_names)  # type: ignore[attr-defined]
    return Network(encoder, learned, nets), learned


@pytest.mark.parametrize("sharing", SHARINGS)
def test_gives_log_probs_of_every_head_that_is_learned(sharing: str) -> None:
    network, learned = build(sharing)
    logits = network(torch.randn(2, 3, 32, 24))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        task.name: (2, task.num_classes) for task in learned.tasks
    }
    sum(values.square().sum() for values in logits.values()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("layer_decay", [None, 0.5])
@pytest.mark.parametrize("sharing", SHARINGS)
def test_every_parameter_is_in_one_group_and_heads_learn_at_the_full_rate(
    sharing: str, layer_decay: float | None
) -> None:
    network, _ = build(sharing)
    groups = network.parameter_groups(0.1, layer_decay)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, network.parameters()))
    heads = set(map(id, network.heads.parameters()))
    of_heads = [group for group in groups if id(group["params"][0]) in heads]
    assert {id(parameter) for group in of_heads for parameter in group["params"]} == heads
    assert {group["lr_scale"] for group in of_heads} == {1.0}
    assert {group["weight_decay"] for group in of_heads} == {0.0, 0.1}


def test_heads_can_differ() -> None:
    network, _ = build()
    nets = {"colour": LinearSettings(), "type": MLPSettings(hidden=4)}
    other = Network(deepcopy(network.backbone), SPACE, nets)
    assert len(list(other.heads["colour"].parameters())) == 2
    assert len(list(other.heads["type"].parameters())) == 4


@pytest.mark.parametrize("sharing", ONE_TRUNK)
def test_after_the_backbone_come_the_same_heads(sharing: str) -> None:
    network, _ = build(sharing)
    network.eval()
    rest = network.after_backbone().eval()
    images = torch.randn(2, 3, 32, 24)
    logits, again = network(images), rest(network.backbone(images))
    assert list(logits) == list(again)
    assert all(torch.equal(logits[name], again[name]) for name in logits)
    assert set(map(id, rest.parameters())) == set(map(id, network.heads.parameters()))
    whole = network.state_dict()
    assert set(rest.state_dict()) == {name for name in whole if name.startswith("heads.")}
    own, all_groups = rest.parameter_groups(0.1, 0.5), network.parameter_groups(0.1, 0.5)
    for group, of_network in zip(own, all_groups[-len(own) :], strict=True):
        assert list(map(id, group.pop("params"))) == list(map(id, of_network.pop("params")))
        assert group == of_network


@pytest.mark.parametrize("sharing", SHARINGS)
def test_features_and_last_layer_are_shared_where_all_heads_read_one_trunk(sharing: str) -> None:
    network, _ = build(sharing)
    encoded = network.forward_features(torch.randn(2, 3, 32, 24))
    shared, last = network.shared(encoded), network.last_layer()
    if sharing in ONE_TRUNK:
        assert shared is encoded.pooled
        assert [weight is list(network.backbone.parameters())[-3] for weight in last] == [True]
        assert network.after_backbone().shared(Encoded(encoded.pooled.detach())) is None
        with torch.no_grad():
            assert network.shared(network.forward_features(torch.randn(2, 3, 32, 24))) is None
    else:
        assert shared is None
        assert list(last) == []


def test_where_a_head_reads_the_map_all_share_what_it_is_made_of() -> None:
    backbone = build()[0].backbone
    network = Network(backbone, SPACE, {"colour": AttentionSettings(), "type": LinearSettings()})
    encoded = network.forward_features(torch.randn(2, 3, 32, 24))
    shared, answers = network.shared(encoded), network.forward_heads(encoded)
    assert shared is encoded.features
    assert shared is not None
    below = next(backbone.parameters())
    for forward_heads in answers.values():  # all of each head's gradient passes there
        loss = forward_heads.square().sum()
        (there, whole) = torch.autograd.grad(loss, [shared, below], retain_graph=True)
        (through,) = torch.autograd.grad(shared, below, there, retain_graph=True)
        assert torch.allclose(through, whole, atol=1e-6)
    assert list(network.last_layer()) == []
    with torch.no_grad():
        assert network.shared(network.forward_features(torch.randn(2, 3, 32, 24))) is None


@pytest.mark.parametrize("sharing", ["shared", "separate", "branch"])
def test_a_joint_term_reads_all_trunks(sharing: str) -> None:
    encoder = build(sharing)[0].backbone
    network = Network(encoder, SPACE, dict.fromkeys(SPACE.task_names, LinearSettings()), LowRankSettings())
    with torch.no_grad():
        network.joint.residual[1].weight.normal_()  # type: ignore[union-attr, index, operator]
    joint = network(torch.randn(2, 3, 32, 24))["joint"]
    assert joint.shape == (2, SPACE.num_classes)
    weight = network.joint.residual[0].weight  # type: ignore[union-attr, index]
    (-joint[:, 0]).sum().backward()
    assert weight.shape[1] == encoder.num_trunks * encoder.widths.pooled
    assert (weight.grad.abs().sum(dim=0) > 0).all()  # type: ignore[union-attr]


def test_what_is_fixed_is_all_of_a_backbone_that_is_frozen_whole() -> None:
    network, _ = build()
    assert network.fixed_state(network) == {}
    for parameter in list(network.backbone.parameters())[1:]:
        parameter.requires_grad = False
    assert network.fixed_state(network) == {}  # partly frozen
    network.backbone.frozen = True
    fixed, whole = network.fixed_state(network), network.state_dict()
    assert set(fixed) == {name for name in whole if name.startswith("backbone.")}
    assert all(torch.equal(fixed[name], whole[name]) for name in fixed)


@pytest.mark.parametrize("name", ["type", "keys", "training", "forward", "_modules", "mask"])
def test_modules_may_be_called_what_a_method_is_called(name: str) -> None:
    modules = ByTask({name: nn.Linear(2, 3), "other": nn.Linear(2, 4)})
    assert list(modules) == [name, "other"]
    assert modules[name].out_features == 3
    assert [key for key, _ in modules.items()] == [name, "other"]
    assert f"{name}.weight" in modules.state_dict()
    modules.eval()
    assert not modules[name].training
