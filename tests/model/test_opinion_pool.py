"""The weighted pool of different networks: forms, weights, votes and ties, tiles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from multitask.labels import JOINT, LabelSpace, Task
from multitask.model.ensemble import vote
from multitask.model.opinion_pool import OpinionPool, OutputForm, PoolMember, combine, log_pool, majority

SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("shape", ("round", "square"))],
    impossible=[{"colour": "blue", "shape": "square"}],
)
FLAT = LabelSpace([Task("class", SPACE.class_names)], impossible=[{"class": SPACE.class_names[5]}])


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heads(seed: int) -> dict[str, Tensor]:
    return {task.name: random(4, task.num_classes, seed=seed).log_softmax(dim=1) for task in SPACE.tasks}


def test_equal_weights_are_the_vote_of_an_ensemble_and_all_weight_is_one_member() -> None:
    one, two = (random(5, 3, seed=seed).log_softmax(dim=1) for seed in (1, 2))
    torch.testing.assert_close(log_pool([one, two], (0.5, 0.5)), vote([one, two]).double(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(log_pool([one, two], (0.0, 1.0)), two)


def test_a_member_that_excludes_a_label_cannot_do_so_alone_nor_make_it_no_number() -> None:
    sure = torch.tensor([[0.0, -torch.inf]])
    found = log_pool([sure, torch.tensor([[0.1, 0.9]]).log()], (0.0, 1.0))
    torch.testing.assert_close(found.exp(), torch.tensor([[0.1, 0.9]]))


def test_a_pool_of_heads_is_the_pool_of_their_products() -> None:
    members = [heads(1), heads(2)]
    weights = (0.3, 0.7)
    free = LabelSpace(SPACE.tasks)
    pooled = combine(members, {"colour": weights, "shape": weights})
    joint = log_pool([free.joint_log_probs(member) for member in members], weights)
    torch.testing.assert_close(free.joint_log_probs(pooled), joint)


def test_ties_are_broken_by_the_mean_probability_and_votes_outweigh_it() -> None:
    one, two = torch.tensor([[0.6, 0.4, 0.0]]).log(), torch.tensor([[0.1, 0.9, 0.0]]).log()
    assert majority([one, two]).argmax(dim=1).tolist() == [1]  # a vote each; .35 against .65
    three = torch.tensor([[0.51, 0.49, 0.0]]).log()
    found = majority([one, two, three])
    assert found.argmax(dim=1).tolist() == [0]  # two votes against one, though the mean is for the other
    assert found.exp().sum().item() == pytest.approx(1)


def test_ties_are_broken_head_by_head() -> None:
    one = {"colour": torch.tensor([[0.9, 0.1, 0.0]]).log(), "shape": torch.tensor([[0.6, 0.4]]).log()}
    two = {"colour": torch.tensor([[0.4, 0.6, 0.0]]).log(), "shape": torch.tensor([[0.1, 0.9]]).log()}
    found = combine([one, two], None)
    assert found["colour"].argmax(dim=1).tolist() == [0]
    assert found["shape"].argmax(dim=1).tolist() == [1]


def test_forms_agree_on_the_classes() -> None:
    form = OutputForm(SPACE, joint=True)
    alone = form.of(heads(3), SPACE, joint_term=False)
    torch.testing.assert_close(alone[JOINT], SPACE.joint_log_probs(heads(3)))
    logits = random(4, 6, seed=4)
    flat = form.of({"class": logits}, FLAT, joint_term=False)
    classes = FLAT.joint_log_probs({"class": logits.log_softmax(dim=1)})
    torch.testing.assert_close(flat[JOINT], classes)
    assert (flat[JOINT][:, 5] == -torch.inf).all()
    torch.testing.assert_close(flat["shape"], SPACE.marginal_log_probs(classes)["shape"])
    termed = form.of({**heads(5), JOINT: classes}, SPACE, joint_term=True)
    torch.testing.assert_close(termed[JOINT], classes)
    assert set(OutputForm(SPACE, joint=False).of({**heads(5), JOINT: classes}, SPACE, False)) == {"colour", "shape"}


class Mean(nn.Module):
    """Answers the mean of what it sees."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        mean = images.mean(dim=(1, 2, 3))
        return {"a": torch.stack([mean, -mean], dim=1)}


def test_each_member_sees_its_own_tile_normalised_its_own_way() -> None:
    space = LabelSpace([Task("a", ("yes", "no"))])
    images = torch.zeros(1, 3, 4, 5)
    images[:, :, :4, :3], images[:, :, :2, 3:] = 0.5, 0.25
    tiles = ((slice(0, 4), slice(0, 3)), (slice(0, 2), slice(3, 5)))
    members = [
        PoolMember(Mean(), tiles[0], (0.5,) * 3, (0.5,) * 3, space, False),
        PoolMember(Mean(), tiles[1], (0.0,) * 3, (0.25,) * 3, space, False),
    ]
    for weights, mean in (((1.0, 0.0), 0.0), ((0.0, 1.0), 1.0)):
        found = OpinionPool(members, OutputForm(space, False), {"a": weights})(images)["a"]
        torch.testing.assert_close(found, torch.tensor([[mean, -mean]]).log_softmax(dim=1))
