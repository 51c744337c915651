"""The evidence is what the networks compute with: sums that must come out, and places that alone can matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multitask.inference.explain import METHODS
from multitask.inference.explain.explainer import choose
from multitask.inference.explain.methods import log_odds, to_heat
from multitask.inference.explain.trunk import ForwardPass, forward, prepare
from multitask.labels import LabelSpace, Task
from multitask.model.backbone import Backbone
from multitask.model.heads import AttentionSettings, LinearSettings, NetSettings
from multitask.model.network import Network
from multitask.model.settings import BackboneSettings
from multitask.model.sharing import BranchSettings, SeparateSettings, SharedSettings, SharingSettings
from multitask.settings import validate

SPACE = LabelSpace([Task("shape", ("round", "square")), Task("colour", ("red", "green", "blue"))])
SIZE = (64, 48)
SMALL = {"channels": [8, 16, 16, 32]}
WINDOWS = {"embed_dim": 12, "depths": [1, 1], "num_heads": [1, 1], "window_size": 4}
TOKENS = {"depth": 2, "embed_dim": 24, "num_heads": 2}


def make(
    name: str = "resnet10t",
    options: Mapping[str, Any] = SMALL,
    sharing: SharingSettings | None = None,
    net: NetSettings | None = None,
    freeze: bool = False,
) -> Network:
    torch.manual_seed(0)
    settings = validate(BackboneSettings, {"name": name, "weights": "none", "options": dict(options)})
    encoder = (sharing or SharedSettings()).build(settings, SIZE, SPACE.task_names)
    if freeze:
        assert isinstance(encoder, Backbone)
        encoder.requires_grad_(False)
        encoder.note_frozen()
    network = Network(encoder, SPACE, {"shape": net or LinearSettings(), "colour": LinearSettings()}).eval()
    prepare(network)
    return network


def run(network: Network, seed: int = 1) -> ForwardPass:
    return forward(network, torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(seed)))


def shape_score(one: ForwardPass, label: int = 0) -> Tensor:
    return log_odds(one.log_probs["shape"], torch.full((3,), label))


@pytest.mark.parametrize(
    ("name", "options", "grid"),
    [
        ("resnet10t", SMALL, (2, 2)),
        ("swin_tiny_patch4_window7_224", WINDOWS, (8, 6)),
        ("vit_tiny_patch16_224", TOKENS | {"global_pool": "avg", "final_norm": True, "fc_norm": False}, (4, 3)),
    ],
)
@pytest.mark.parametrize("freeze", [False, True])
def test_a_mean_pooled_maps_evidence_sums_to_the_log_odds(
    name: str, options: dict[str, Any], grid: tuple[int, int], freeze: bool
) -> None:
    """Of two labels and a linear head, log-odds are linear in the map: nothing is left over but the bias."""
    network = make(name, options, freeze=freeze)
    head = network.heads["shape"]
    assert isinstance(head, nn.Sequential)
    linear = head[-1]
    assert isinstance(linear, nn.Linear)
    one = run(network)
    method = choose(one.by_head["shape"], head)
    assert method.name == "Grad-CAM"
    score = shape_score(one)
    evidence = method.evidence(one.by_head["shape"], head, score)
    assert evidence.shape == (3, *grid)
    torch.testing.assert_close(evidence.sum(dim=(1, 2)), score - (linear.bias[0] - linear.bias[1]))


def test_what_speaks_for_one_of_two_labels_speaks_against_the_other() -> None:
    network = make()
    one = run(network)
    method = METHODS["Grad-CAM"]
    both = [method.evidence(one.by_head["shape"], None, shape_score(one, label)) for label in (0, 1)]
    torch.testing.assert_close(both[0], -both[1])


def test_an_attention_head_shows_its_weights() -> None:
    network = make(net=AttentionSettings(num_heads=2, width=8))
    head = network.heads["shape"]
    with torch.no_grad():
        head.query.normal_(std=3)
    one = run(network)
    method = choose(one.by_head["shape"], head)
    assert method.name == "attention weights"
    weights = method.evidence(one.by_head["shape"], head, shape_score(one))
    torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(3))
    features = one.by_head["shape"].encoded.map
    assert features is not None
    expected = head.attention(head.norm(features)).mean(dim=1)
    torch.testing.assert_close(weights[:, 1, 0], expected[:, 2])  # row by row, as the image lies
    assert choose(one.by_head["colour"], network.heads["colour"]).name == "Grad-CAM"


class LookAt(nn.Module):
    """In the place of an attention layer's dropout: makes every query look at one token alone."""

    def __init__(self, token: int) -> None:
        super().__init__()
        self.token = token

    def forward(self, weights: Tensor) -> Tensor:
        mask = torch.zeros_like(weights)
        mask[..., self.token] = 1
        return weights * 0 + mask


def test_a_class_tokens_evidence_is_at_the_only_place_that_it_looks_at() -> None:
    network = make("vit_tiny_patch16_224", TOKENS)
    assert isinstance(network.backbone, Backbone)
    network.backbone.body.blocks[-1].attn.attn_drop = LookAt(1 + 7)  # after the class token
    one = run(network)
    method = choose(one.by_head["shape"], None)
    assert method.name == "gradient x attention"
    for_it, against = (method.evidence(one.by_head["shape"], None, shape_score(one, label)) for label in (0, 1))
    assert for_it.shape == (3, 4, 3)
    evidence = (for_it + against).flatten(1)
    assert (evidence[:, 7] > 0).all()
    evidence[:, 7] = 0
    assert not evidence.any()


def test_fused_attention_and_ours_answer_alike() -> None:
    torch.manual_seed(0)
    settings = validate(BackboneSettings, {"name": "vit_tiny_patch16_224", "weights": "none", "options": TOKENS})
    network = Network(Backbone(settings, SIZE), SPACE, dict.fromkeys(SPACE.task_names, LinearSettings())).eval()
    images = torch.randn(3, 3, *SIZE)
    with torch.no_grad():
        before = network(images)
    prepare(network)
    for name, values in forward(network, images).log_probs.items():
        torch.testing.assert_close(values, before[name])


def test_without_a_map_of_places_the_input_itself_is_asked() -> None:
    one_place = forward(make("test_resnet", {}), torch.randn(3, 3, 32, 24)).trunks[0]
    unsaid = replace(run(make("vit_tiny_patch16_224", TOKENS)).trunks[0], attention=None)
    assert [choose(trunk, None).name for trunk in (one_place, unsaid)] == ["gradient x input"] * 2
    network = make()
    one = run(network)
    evidence = METHODS["gradient x input"].evidence(one.trunks[0], None, shape_score(one))
    assert (evidence >= 0).all()
    (found,) = torch.autograd.grad(shape_score(one).sum(), [one.trunks[0].images])
    expected = (found * one.trunks[0].images).abs().sum(dim=1)
    torch.testing.assert_close(evidence[0, 0, 0], expected[0, :3, :3].mean())


@pytest.mark.parametrize("sharing", [SeparateSettings(), BranchSettings(at="layer2")], ids=lambda one: one.name)
def test_a_heads_evidence_is_in_its_own_trunk_and_the_classes_in_all(sharing: SharingSettings) -> None:
    network = make(sharing=sharing)
    one = run(network)
    assert len(one.trunks) == 2
    method, score = METHODS["Grad-CAM"], shape_score(one)
    assert method.evidence(one.by_head["shape"], None, score).abs().sum() > 0
    assert method.evidence(one.by_head["colour"], None, score).abs().sum() == 0
    joint = log_odds(SPACE.joint_log_probs(one.log_probs), torch.zeros(3, dtype=torch.long))
    assert all(method.evidence(trunk, None, joint).abs().sum() > 0 for trunk in one.trunks)


def test_log_odds_keep_a_gradient_where_the_network_is_sure() -> None:
    logits = torch.tensor([[40.0, 0.0, 0.0]], requires_grad=True)
    log_probs = logits.log_softmax(dim=1)
    score = log_odds(log_probs, torch.tensor([0]))
    (found,) = torch.autograd.grad(score.sum(), [logits], retain_graph=True)
    torch.testing.assert_close(found, torch.tensor([[1.0, -0.5, -0.5]]))
    assert torch.autograd.grad(log_probs[0, 0], [logits])[0].abs().max() < 1e-6


def test_heat_is_scaled_to_its_greatest_and_nothing_stays_nothing() -> None:
    evidence = torch.tensor([[[1.0, -5.0], [0.0, 2.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    heat = to_heat(evidence, (8, 6))
    assert heat.shape == (2, 8, 6)
    assert heat[0].max() == 1
    assert heat[0, -1, -1] == 1
    assert heat[0, 0, -1] == 0
    assert heat[0, 0, 0] == 0.5
    assert (heat[1] == 0).all()
