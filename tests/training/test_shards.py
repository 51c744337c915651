"""Weights in shards: real processes, which talk over gloo."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from multitask.training.settings import OptimizerSettings
from multitask.training.sharded_tensors import local
from multitask.training.shards import Shards, check_steps, units
from tests.over_ranks import over_ranks

import timm  # isort: skip  (after multitask, which makes it importable)

CPU = torch.device("cpu")


class Small(nn.Module):
    """Two blocks and a head; of seven rows, so that shards are not alike."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.blocks = nn.Sequential(nn.Linear(7, 7), nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 7)))
        self.head = nn.Linear(7, 3)

    def forward_features(self, images: Tensor) -> Tensor:
        found: Tensor = self.backbone.blocks(images.mean(dim=(1, 2))[:, :7])  # type: ignore[operator]
        return found

    def forward_heads(self, features: Tensor) -> dict[str, Tensor]:
        return {"one": self.head(features)}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.forward_heads(self.forward_features(images))


def placed() -> tuple[Shards, Small, Small]:
    torch.manual_seed(0)
    network, whole = Small(), Small()
    whole.load_state_dict(network.state_dict())
    shards = Shards(CPU, (4, 8), "small")
    shards.place(network)
    return shards, network, whole


@pytest.mark.parametrize(
    ("name", "kinds", "num"),
    [
        ("test_vit", {"Block"}, 6),
        ("resnet18", {"BasicBlock"}, 6),  # those of the first stages are too small to be looked for
        ("convnext_atto", {"ConvNeXtBlock"}, 9),
        ("test_efficientnet", None, 1),
    ],
)
def test_the_blocks_of_a_backbone_are_its_units(name: str, kinds: set[str] | None, num: int) -> None:
    body = timm.create_model(name, num_classes=0)
    found = units(body)
    assert len(found) >= num
    if kinds is not None:
        assert kinds <= {type(unit).__name__ for unit in found}
    inside = [module for unit in found for module in unit.modules()]
    assert len(inside) == len(set(inside))  # none in another
    assert not any(isinstance(unit, nn.ModuleList) for unit in found)
    sizes = [sum(weight.numel() for weight in unit.parameters()) for unit in found]
    whole = sum(weight.numel() for weight in body.parameters())
    assert sum(sizes) > 0.8 * whole


def test_a_network_without_blocks_is_one_unit_with_its_heads() -> None:
    assert units(nn.Linear(3, 3)) == []
    assert units(nn.ReLU()) == []


def test_steps_on_shards_are_those_on_whole_weights(tmp_path: Path) -> None:
    def work(rank: int) -> None:
        shards, network, whole = placed()
        images = torch.randn(4, 3, 4, 8, generator=torch.Generator().manual_seed(1))
        labels, own = torch.tensor([0, 1, 2, 0]), slice(2 * rank, 2 * rank + 2)
        learned = [nn.Parameter(torch.tensor(2.0)) for _ in range(2)]
        average = SimpleNamespace(module=copy.deepcopy(whole), get_decay=lambda update: 0.25, unbounded=())
        mean = SimpleNamespace(module=copy.deepcopy(whole), get_decay=lambda update: 0.25, unbounded=())
        shards.place(average.module)
        network.eval()  # whose batch norm does not ask which rows are here
        whole.eval()
        optimizers = []
        for model, scalar, rows in ((network, learned[0], own), (whole, learned[1], slice(None))):
            weights: list[Tensor] = list(model.parameters())
            optimizers.append(torch.optim.AdamW([*weights, scalar], lr=0.1))
            answers = model(images[rows])["one"]
            loss = nn.functional.cross_entropy(answers, labels[rows], reduction="sum") * scalar.detach()
            loss.backward()
            scalar.grad = torch.tensor(3.0)
            if model is network:
                shards.reduce(weights, [scalar])
                shards.clip(weights, [scalar], 0.7)
            else:
                nn.utils.clip_grad_norm_([*weights, scalar], 0.7)
            optimizers[-1].step()
        shards.average(average, network, 1)  # type: ignore[arg-type]
        pairs = zip(mean.module.state_dict().values(), whole.state_dict().values(), strict=True)
        expected = [one.lerp(other, 0.75) if one.is_floating_point() else other for one, other in pairs]
        state = {"network": network.state_dict(), "ema": average.module.state_dict(), "scalar": learned[0]}
        shards.save(
            lambda: {**state, "optimizer": optimizers[0].state_dict()}, partial(save_checkpoint, tmp_path / "state")
        )
        found = shards.ranks.from_main(lambda: load_checkpoint(tmp_path / "state"))
        assert list(found["network"]) == list(whole.state_dict())
        close(found["network"].values(), whole.state_dict().values())
        close(found["ema"].values(), expected)
        close([found["scalar"]], [learned[1]])
        moments = optimizers[1].state_dict()["state"]
        for number, state in found["optimizer"]["state"].items():
            close(state.values(), moments[number].values())

    assert over_ranks(2, work) == [None, None]


def close(found: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other.detach(), atol=1e-5)


def test_a_process_holds_its_part_of_weights_gradients_and_moments() -> None:
    def work(rank: int) -> list[float]:
        _, network, whole = placed()
        held = []
        for model in (network, whole):
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
            model.eval()
            model(torch.ones(1, 3, 4, 8))["one"].sum().backward()
            optimizer.step()
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            moments = [value for kept in optimizer.state.values() for value in kept.values() if value.ndim]
            tensors = [*weights, *(weight.grad for weight in weights), *moments]
            held.append(sum(local(value).numel() for value in tensors))
        return held

    held = over_ranks(2, work)
    assert [whole for _, whole in held] == [4 * (2 * 56 + 14 + 24)] * 2
    assert sum(own for own, _ in held) == held[0][1]
    assert max(own for own, _ in held) < 0.65 * held[0][1]  # four rows of seven, two of three


def test_a_flag_that_one_process_sets_is_set_in_all() -> None:
    def work(rank: int) -> list[bool]:
        found: list[bool] = placed()[0].anywhere(torch.tensor([rank == 1, False])).tolist()
        return found

    assert over_ranks(2, work) == [[True, False]] * 2


def test_processes_run_together_whatever_each_has_to_ask() -> None:
    images = torch.randn(3, 2, 3, 4, 8, generator=torch.Generator().manual_seed(1))

    def asked(fails: bool) -> Callable[[int], list[bool]]:
        def work(rank: int) -> list[bool]:
            shards, network, whole = placed()
            whole.eval()
            alike = []
            with (
                suppress(UserError),
                torch.inference_mode(),
                shards.evaluating(network) as found,
                found.lockstep(),  # type: ignore[attr-defined]
            ):
                for batch in images[: 1 if rank else 3]:
                    alike.append(torch.allclose(found(batch)["one"], whole(batch)["one"], atol=1e-5))
                if rank and fails:
                    raise UserError("an image is gone")  # of which the others are still to hear
            network.train()
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
            for _ in range(2):  # what was gathered meanwhile can be trained with
                network(images[0])["one"].sum().backward()
                optimizer.step()
                optimizer.zero_grad()
            return alike

        return work

    for fails in (False, True):
        assert over_ranks(2, asked(fails)) == [[True] * 3, [True]]


def test_weights_that_are_read_past_their_block_are_refused() -> None:
    class Past(Small):
        def forward_features(self, images: Tensor) -> Tensor:
            weight: Tensor = self.backbone.blocks[0].weight  # type: ignore[index, union-attr, assignment]
            return images.mean(dim=(1, 2))[:, :7] @ weight

    def work(rank: int) -> None:
        Shards(CPU, (4, 8), "past").place(Past())

    lines = over_ranks(2, work)
    assert any("training.parallel: fsdp cannot train past, use ddp; torch says: " in line for line in lines)


class ByNorm(torch.optim.SGD):
    """Divides by the norm of what it is given."""

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                part = local(weight.grad)
                local(weight.detach()).sub_(part / part.norm())


def test_an_optimiser_that_moves_shards_otherwise_is_refused() -> None:
    mine: Any = SimpleNamespace(name="mine", weight_decay=0.0, build=lambda groups, lr: ByNorm(groups, lr))

    def work(rank: int) -> None:
        for name in ("adamw", "sgd"):
            check_steps(OptimizerSettings(name=name), 1e-3, CPU, True)
        check_steps(mine, 1e-3, CPU, False)

    told = sorted(over_ranks(2, work))[0]
    assert "training.optimizer: mine moves shards (training.parallel: fsdp) otherwise than whole weights" in told


def test_gradients_that_overflow_in_one_shard_skip_the_step_in_all() -> None:
    def work(rank: int) -> tuple[float, bool]:
        _, network, _ = placed()
        network(torch.full((2, 3, 4, 8), 1.0 + rank))["one"].sum().backward()
        last = network.head.bias
        if rank == 1:
            local(last.grad).fill_(torch.inf)  # type: ignore[arg-type]
        optimizer, scaler = torch.optim.SGD(network.parameters(), lr=1.0), torch.amp.GradScaler("cpu")
        before = local(last).clone()
        scaler.scale(torch.ones(()))
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        return scaler.get_scale(), torch.equal(local(last), before)

    found: Any = over_ranks(2, work)
    assert found == [(2.0**15, True)] * 2
