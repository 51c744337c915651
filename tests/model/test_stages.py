"""Stages of a backbone that are frozen: what stays, and what changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.stages import add_group_matcher, is_list_member, stages
from tests.model.small_backbone import images, save, settings

import timm  # isort: skip  (after backbone, which makes it importable)


def test_freezing_random_weights_is_refused() -> None:
    with pytest.raises(UserError, match="would keep random weights"):
        settings(freeze=1)


def test_more_frozen_stages_than_there_are_is_refused(tmp_path: Path) -> None:
    weights = save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"^model.backbone.freeze: test_resnet has 5 stages, found 6$"):
        Backbone(settings(weights=weights, freeze=6), (32, 24))
    Backbone(settings(weights=weights, freeze=5), (32, 24))


def _trained_state(backbone: Backbone) -> dict[str, Tensor]:
    """The state after a step with the statistics updated."""
    backbone.train()
    head = nn.Linear(backbone.widths.pooled, 2)
    optimizer = torch.optim.SGD([*(p for p in backbone.parameters() if p.requires_grad), *head.parameters()], lr=0.1)
    head(backbone(images())).square().sum().backward()
    optimizer.step()
    return {key: value.clone() for key, value in backbone.body.state_dict().items()}


@pytest.mark.parametrize(
    ("freeze", "stages"), [("none", ()), (1, ("conv1", "bn1")), (3, ("conv1", "bn1", "layer1", "layer2"))]
)
def test_frozen_stages_and_their_statistics_stay_and_the_rest_changes(
    freeze: Any, stages: tuple[str, ...], tmp_path: Path
) -> None:
    # timm starts the last norm of a residual branch at 0, which stops the gradient of the branch in the first step.
    source = timm.create_model("test_resnet", zero_init_last=False)
    backbone = Backbone(settings(weights=save(source.state_dict(), tmp_path / "weights.pth"), freeze=freeze), (32, 24))
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    after = _trained_state(backbone)
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (key.split(".")[0] in stages), key


@pytest.mark.parametrize(("name", "num_stages"), [("pit_ti_224", 5), ("poolformerv2_s12", 6), ("csatv2", 6)])
def test_stages_of_a_model_that_comes_without_a_group_matcher(name: str, num_stages: int) -> None:
    with torch.device("meta"):
        body = timm.create_model(name, num_classes=0)
    assert not hasattr(body, "group_matcher")
    found = stages(body, name, "model.backbone.freeze")
    names = [key for key, _ in body.named_parameters()]
    assert sorted(key for stage in found.values() for key in stage) == sorted(names)
    assert len(found) == num_stages
    assert set(found[0]) == set(names[: len(found[0])])
    depths = timm.models.group_parameters(body, body.group_matcher(coarse=False), reverse=True)
    order = [depths[key] for key in names]
    assert order == sorted(order)
    assert order[-1] > num_stages


def test_stages_of_a_model_whose_group_matcher_knows_blocks_alone() -> None:
    with torch.device("meta"):
        body = timm.create_model("rdnet_tiny", num_classes=0)
    found = stages(body, "rdnet_tiny", "model.backbone.freeze")
    assert [found[place][0].rpartition(".")[0] for place in (0, 1, 7)] == [
        "stem.0",
        "dense_stages.0.0.dense_block0",
        "dense_stages.6.0",
    ]
    assert sorted(key for stage in found.values() for key in stage) == sorted(key for key, _ in body.named_parameters())


def test_a_model_whose_modules_tell_no_stages_is_refused_where_they_are_needed() -> None:
    body = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(
        UserError, match=r"^training\.optimizer\.layer_decay: timm does not say what the stages of odd are"
    ):
        add_group_matcher(body, "odd", "training.optimizer.layer_decay")


def test_freeze_all_leaves_everything_and_keeps_no_graph(tmp_path: Path) -> None:
    path = save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(settings(weights=path, freeze="all"), (32, 24))
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    after = _trained_state(backbone)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not backbone(images()).requires_grad
    assert list(backbone.parameter_groups(0.1, 0.5)) == []


def test_frozen_dropout_and_stochastic_depth_are_off(tmp_path: Path) -> None:
    name = "mobilenetv3_small_050"
    path = save(timm.create_model(name).state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(settings(name, weights=path, freeze="all", drop_path=0.5), (32, 24)).train()
    assert torch.equal(backbone(images()), backbone(images()))


def test_members_of_the_outermost_lists_are_told_from_what_lies_in_blocks() -> None:
    def block() -> nn.Module:
        block = nn.Module()
        block.mlp = nn.Sequential(nn.Linear(2, 2), nn.GELU())
        return block

    encoder, body = nn.Module(), nn.Module()
    encoder.patch_embed = nn.Conv2d(3, 2, 1)
    encoder.blocks = nn.ModuleList([block(), block()])
    body.encoder = encoder  # as of Gemma's ViT
    body.stages = nn.ModuleList([nn.ModuleList([block()])])  # as of Twins
    modules = dict(body.named_modules())
    found = [name for name in modules if is_list_member(modules, name)]
    assert found == ["encoder.blocks.0", "encoder.blocks.1", "stages.0", "stages.0.0"]
