"""Separate networks and branches: alike at first, each learning from its own tasks, what is shared from all."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.model import SHARINGS
from multitask.model.backbone import Backbone
from multitask.model.branch import Branched, StandIn
from multitask.model.encoder import Encoder, Trunks
from multitask.model.settings import BackboneSettings
from multitask.model.sharing import ModelSettings, SharingSettings
from multitask.settings import validate
from multitask.testing.sharings import SHARING_CHECKS, learns_the_same_classes

from timm.utils import ModelEmaV3  # isort: skip  (after backbone, which makes it importable)
import timm  # isort: skip

TASKS = ("mask", "gender", "age")
SIZE = (64, 48)
STAGES: dict[str, str] = {
    "test_resnet": "layer2",
    "test_vit": "blocks.3",
    "mobilenetv2_035": "blocks.4",
    "test_convnext": "stages.1",
    "test_nfnet": "stem.conv3",
    "swin_tiny_patch4_window7_224": "layers.0",
    "beit_base_patch16_224": "blocks.0",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {"depth": 2, "embed_dim": 48, "num_heads": 3},
    "swin_tiny_patch4_window7_224": {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4]},
}
every_family = pytest.mark.parametrize("name", STAGES)


def space(*names: str) -> LabelSpace:
    return LabelSpace([Task(name, ("a", "b")) for name in names])


def backbone(name: str = "test_resnet", **changes: Any) -> BackboneSettings:
    options = OPTIONS.get(name, {})
    return validate(BackboneSettings, {"name": name, "weights": "none", "options": options, **changes})


def build(sharing: dict[str, Any], settings: BackboneSettings, tasks: tuple[str, ...] = TASKS) -> Encoder:
    torch.manual_seed(0)
    row = validate(SHARINGS[sharing["name"]], sharing)
    assert isinstance(row, SharingSettings)
    return row.build(settings, SIZE, tasks)


def branched(name: str = "test_resnet", groups: Any = None, **changes: Any) -> Branched:
    found = build({"name": "branch", "at": STAGES[name], "groups": groups}, backbone(name, **changes))
    assert isinstance(found, Branched)
    return found


def alive(encoder: Encoder) -> Encoder:
    """With no layer at zero, as timm starts the last norm of a residual branch, which would stop gradients."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return encoder


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def weights_file(path: Path, name: str = "test_resnet") -> str:
    torch.manual_seed(3)
    torch.save(timm.create_model(name, **OPTIONS.get(name, {})).state_dict(), path)
    return str(path)


def parameters(module: nn.Module) -> set[int]:
    return set(map(id, module.parameters()))


def of_task(encoder: Encoder, images: Tensor, task: str) -> Tensor:
    return encoder.forward_features(images).of(task).pooled


def gradients(encoder: Encoder, *tasks: str) -> dict[str, Tensor]:
    """By name, those of the sum of the tasks' features squared; what it does not reach is left out."""
    encoder.zero_grad(set_to_none=True)
    encoded = encoder.forward_features(images())
    sum(encoded.of(task).pooled.square().sum() for task in tasks).backward()  # type: ignore[union-attr]
    return {name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None}


# --- one way for all --------------------------------------------------------------------------------------------


NEEDED: dict[str, dict[str, Any]] = {"branch": {"at": "layer2"}}
every_way = pytest.mark.parametrize("name", SHARINGS)


def way(name: str) -> SharingSettings:
    found = validate(SHARINGS[name], {"name": name, **NEEDED.get(name, {})})
    assert isinstance(found, SharingSettings)
    return found


@every_way
def test_learns_the_same_classes(name: str) -> None:
    learns_the_same_classes(way(name))


@every_way
@pytest.mark.parametrize("check", SHARING_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[SharingSettings], None], name: str) -> None:
    check(way(name))


@pytest.mark.parametrize("name", ["shared", "separate", "branch"])
def test_trunks_are_one_or_as_many_as_tasks(name: str) -> None:
    encoder = build({"name": name, **NEEDED.get(name, {})}, backbone())
    assert encoder.num_trunks == (1 if name == "shared" else 3)
    assert not encoder.frozen


# --- separate ---------------------------------------------------------------------------------------------------


def test_separate_networks_share_nothing_and_begin_with_the_same_weights(tmp_path: Path) -> None:
    encoder = build({"name": "separate"}, backbone(weights=weights_file(tmp_path / "w.pth"))).eval()
    assert isinstance(encoder, Trunks)
    encoded = encoder.forward_features(images())
    assert torch.equal(encoded.of("mask").pooled, encoded.of("age").pooled)
    trunks = [parameters(trunk) for trunk in encoder.trunks]
    assert len(set.union(*trunks)) == sum(map(len, trunks))
    found = gradients(encoder, "gender")
    assert {name.split(".")[1] for name in found} == {"1"}


def test_separate_networks_without_weights_are_drawn_each_for_itself() -> None:
    encoded = build({"name": "separate"}, backbone()).eval().forward_features(images())
    assert not torch.equal(encoded.of("mask").pooled, encoded.of("age").pooled)


# --- branch -----------------------------------------------------------------------------------------------------


@every_family
def test_branches_begin_as_the_model_itself(name: str) -> None:
    encoder = branched(name).eval()
    torch.manual_seed(0)
    whole = Backbone(backbone(name), SIZE).eval()
    with torch.no_grad():
        expected, found = whole.forward_features(images()), encoder.forward_features(images())
    assert expected.map is not None
    for task in TASKS:
        torch.testing.assert_close(found.of(task).pooled, expected.pooled, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.of(task).map, expected.map, rtol=1e-4, atol=1e-5)


@every_family
def test_a_tasks_gradient_reaches_its_own_branch_and_the_trunk_gets_the_sum(name: str) -> None:
    encoder = alive(branched(name, groups=[["mask"], ["gender", "age"]])).eval()
    shared = {f"trunks.0.{key}" for key, _ in encoder.trunks[0].named_parameters()} - {
        f"trunks.0.{key}" for key, _ in encoder.trunks[1].named_parameters()
    }
    mask, age, both = gradients(encoder, "mask"), gradients(encoder, "age"), gradients(encoder, "mask", "age")
    assert all(name.startswith("trunks.0.") for name in mask)
    assert set(age) == shared | {name for name, _ in encoder.named_parameters() if name.startswith("trunks.1.")}
    assert shared
    assert set(both) == {name for name, _ in encoder.named_parameters()}
    for key in shared:
        torch.testing.assert_close(both[key], mask[key] + age[key], rtol=1e-3, atol=1e-3 * float(both[key].abs().max()))
    # and the trunk's gradient is what the whole model's is, since the branches are alike at first only by value
    own = set(both) - shared
    assert own
    for key in own:
        alone = mask if key in mask else age
        torch.testing.assert_close(both[key], alone[key], rtol=1e-3, atol=1e-3 * float(both[key].abs().max()) + 1e-12)


@every_family
def test_what_is_shared_exists_once(name: str) -> None:
    encoder = branched(name)
    whole = parameters(encoder.trunks[0])
    own = [parameters(trunk) for trunk in encoder.trunks[1:]]
    assert all(own)
    assert len(own[0]) == len(own[1]) < len(whole)
    assert len(parameters(encoder)) == len(whole) + 2 * len(own[0])
    assert len(list(encoder.named_parameters(remove_duplicate=False))) == len(parameters(encoder))
    for layer_decay in (None, 0.5):
        grouped = [id(weight) for group in encoder.parameter_groups(0.1, layer_decay) for weight in group["params"]]
        assert sorted(grouped) == sorted(parameters(encoder))
    assert len(encoder.state_dict()) == len({value.data_ptr() for value in encoder.state_dict().values()})


@every_family
def test_a_layer_learns_at_the_same_rate_in_every_branch(name: str) -> None:
    encoder = branched(name)
    scales = {
        id(weight): (group["lr_scale"], group["weight_decay"])
        for group in encoder.parameter_groups(0.1, 0.5)
        for weight in group["params"]
    }
    first = {key: scales[id(weight)] for key, weight in encoder.trunks[0].named_parameters()}
    for trunk in encoder.trunks[1:]:
        for key, weight in trunk.named_parameters():
            assert scales[id(weight)] == first[key], key
    assert min(first.values())[0] < max(first.values())[0] == 1.0


@every_family
def test_a_copy_of_it_is_whole_and_apart_as_an_average_of_the_weights_needs(name: str) -> None:
    encoder = branched(name).eval()
    average = ModelEmaV3(encoder, decay=0.5)
    copy = average.module
    assert not parameters(copy) & parameters(encoder)
    assert len(parameters(copy)) == len(parameters(encoder))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    alive(encoder)
    with torch.no_grad():
        changed = encoder.forward_features(images()).pooled
    average.update(encoder, step=10)
    for key, value in copy.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (before[key] + encoder.state_dict()[key]) / 2)
    copy.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(copy.forward_features(images()).pooled, changed, rtol=1e-4, atol=1e-4)
        # nothing of the copy's computation is still the first one's
        for parameter in encoder.parameters():
            parameter.zero_()
        torch.testing.assert_close(copy.forward_features(images()).pooled, changed, rtol=1e-4, atol=1e-4)


@every_family
def test_state_goes_round(name: str) -> None:
    one, other = alive(branched(name)).eval(), branched(name).eval()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert torch.equal(one.forward_features(images()).pooled, other.forward_features(images()).pooled)


class Halve(nn.Module):
    """In place."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mul_(0.5)


@torch.no_grad()
def test_what_one_branch_does_in_place_is_not_seen_by_another() -> None:
    torch.manual_seed(0)
    whole = Backbone(backbone(), SIZE).eval()
    whole.body.layer3.insert(0, Halve())
    expected = whole(images())
    encoded = Branched(whole, "layer2", [[task] for task in TASKS], SIZE).eval().forward_features(images())
    for task in TASKS:
        torch.testing.assert_close(encoded.of(task).pooled, expected)


def test_the_trunk_runs_once_and_its_statistics_move_once() -> None:
    encoder = branched().train()
    whole = deepcopy(encoder.trunks[0]).train()
    calls = []
    encoder.trunks[0].body.layer1.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    encoder(images())
    whole.forward_features(images())  # type: ignore[operator]
    assert len(calls) == 1
    for key, value in whole.named_buffers():
        torch.testing.assert_close(encoder.trunks[0].get_buffer(key), value)
    shared = [key for key, _ in encoder.trunks[1].named_buffers() if key.startswith(("body.conv1", "body.layer1"))]
    assert shared == []


def test_what_the_trunk_lends_a_branch_moves_with_it() -> None:
    encoder = branched("test_vit").double().eval()
    assert {value.dtype for value in encoder.state_dict().values()} == {torch.float64}
    found = encoder.forward_features(images().double())
    torch.testing.assert_close(found.of("age").pooled, found.of("mask").pooled)
    assert found.pooled.dtype == torch.float64


def test_nothing_is_held_after_a_pass() -> None:
    encoder = branched()
    encoder(images())
    held = [module.value for module in encoder.modules() if isinstance(module, StandIn)]
    assert held
    assert not any(held)
    assert not any(module._forward_hooks for module in encoder.modules())


def test_tasks_of_a_group_read_one_branch_and_groups_may_be_in_any_order() -> None:
    encoder = alive(branched(groups=[["age", "mask"], ["gender"]]))
    assert encoder.num_trunks == 2
    encoded = encoder.forward_features(images())
    assert encoded.of("age") is encoded.of("mask")
    assert not torch.equal(encoded.of("age").pooled, encoded.of("gender").pooled)


def test_frozen_stages_stay_in_trunk_and_branches(tmp_path: Path) -> None:
    encoder = alive(branched(weights=weights_file(tmp_path / "w.pth"), freeze=4)).train()  # layer3 is frozen too
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    trained = [weight for group in encoder.parameter_groups(0.0, 0.5) for weight in group["params"]]
    encoder(images()).square().sum().backward()
    torch.optim.SGD(trained, lr=0.1).step()
    changed = {key for key, value in encoder.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.split(".")[3] for key in changed} == {"layer4"}
    assert {key.split(".")[1] for key in changed} == {"0", "1", "2"}


def test_drop_path_is_drawn_for_each_branch() -> None:
    encoder = alive(branched("test_vit", drop_path=0.5)).train()
    with torch.no_grad():
        for trunk in encoder.trunks[1:]:
            trunk.load_state_dict({key: encoder.trunks[0].state_dict()[key] for key in trunk.state_dict()})
    encoded = encoder.forward_features(images(16))
    assert not torch.equal(encoded.of("mask").pooled, encoded.of("age").pooled)
    encoder.eval()
    encoded = encoder.forward_features(images(16))
    torch.testing.assert_close(encoded.of("mask").pooled, encoded.of("age").pooled)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "at", "line"),
    [
        ("test_resnet", "layr3", "the backbone has no stage 'layr3'; it has layer3, "),
        ("test_vit", "blocks.33", "the backbone has no stage 'blocks.33'; it has blocks.3, "),
        ("test_resnet", "fc", "the backbone has no stage 'fc'; it has "),
        ("test_resnet", "layer4", "nothing that is trained follows 'layer4'; branch earlier or freeze less; it has "),
    ],
)
def test_a_branch_point_that_there_is_not_is_refused_and_those_there_are_listed(name: str, at: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        build({"name": "branch", "at": at}, backbone(name))
    message = str(caught.value)
    assert message.startswith(f"model.sharing.at: {line}")
    assert "\n" not in message
    for stage in timm.create_model(name).feature_info:
        assert stage["module"] in message


def test_a_branch_below_frozen_stages_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model\.sharing\.at: nothing that is trained follows 'layer2'"):
        branched(weights=weights_file(tmp_path / "w.pth"), freeze=5)


def test_separate_networks_of_nothing_but_frozen_stages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model\.backbone\.freeze: 5 leaves nothing to train in separate networks"):
        build({"name": "separate"}, backbone(weights=weights_file(tmp_path / "w.pth"), freeze=5))


def test_a_model_that_cannot_be_branched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "forward", lambda self, *args, **kwargs: self.value[0] * 1.1)
    line = r"^model\.sharing\.at: the backbone cannot be branched at 'layer2': a branch gives other features than"
    with pytest.raises(UserError, match=line):
        branched()


@pytest.mark.parametrize(
    ("groups", "line"),
    [
        ([["mask"], ["gendr", "age"]], "model.sharing.groups: there is no task 'gendr'; did you mean 'gender'?"),
        ([["mask"], ["gender"]], "model.sharing.groups: age is in none of them"),
        ([["mask", "age"], ["gender", "age"]], "model.sharing.groups: age stands twice"),
        ([["mask", "gender", "age"]], "model.sharing.groups: one group has nothing to branch off from; use shared"),
    ],
)
def test_groups_must_hold_every_task_once(groups: Any, line: str) -> None:
    row = validate(SHARINGS["branch"], {"name": "branch", "at": "layer2", "groups": groups})
    assert isinstance(row, SharingSettings)
    with pytest.raises(ValueError) as caught:
        row.check(space(*TASKS))
    assert str(caught.value) == line


@pytest.mark.parametrize("sharing", [{"name": "separate"}, {"name": "branch", "at": "layer2"}])
def test_a_single_task_has_nobody_to_part_from(sharing: dict[str, Any]) -> None:
    row = validate(SHARINGS[sharing["name"]], sharing)
    assert isinstance(row, SharingSettings)
    row.check(space("mask", "age"))
    with pytest.raises(ValueError, match=rf"^model\.sharing: {sharing['name']} needs several tasks, found 1; use shar"):
        row.check(space("mask"))


@pytest.mark.parametrize("sharing", ["separate", {"name": "branch", "at": "layer2"}])
def test_copies_of_a_frozen_backbone_are_refused(sharing: Any, tmp_path: Path) -> None:
    section = {"name": "test_resnet", "weights": weights_file(tmp_path / "w.pth"), "freeze": "all"}
    with pytest.raises(UserError, match=r"sharing: (separate|branch) would be ignored, since backbone\.freeze is all"):
        validate(ModelSettings, {"backbone": section, "sharing": sharing})
    validate(ModelSettings, {"backbone": section, "sharing": "shared"})


def test_stages_that_never_run_are_not_offered_but_the_models_own_are() -> None:
    def line(name: str, options: dict[str, Any]) -> str:
        with pytest.raises(UserError) as caught:
            build({"name": "branch", "at": "blocks.9"}, backbone(name, options=options))
        return str(caught.value).partition("it has ")[2]

    vit = {"depth": 2, "embed_dim": 48, "num_heads": 3}
    assert line("gemma4_vit_167m", vit) == "encoder.blocks.0, encoder.blocks.1"  # timm: blocks.0
    assert build({"name": "branch", "at": "encoder.blocks.0"}, backbone("gemma4_vit_167m", options=vit)).num_trunks == 3
