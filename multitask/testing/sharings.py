"""The contract of ways to share a network."""

from __future__ import annotations

import torch
from torch import Tensor

from multitask.labels import LabelSpace, Task
from multitask.model import SharingSettings
from multitask.model.encoder import Encoder
from multitask.model.heads import LinearSettings
from multitask.model.network import Network
from multitask.model.settings import BackboneSettings
from multitask.testing.expect import expect, expect_equal

SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("type", ("a", "b"))], [{"colour": "red", "type": "b"}]
)
SIZE = (64, 48)
BACKBONE = BackboneSettings(name="test_resnet", weights="none")
"""A small one, whose stages are ``layer1`` to ``layer4``."""


def built(settings: SharingSettings, backbone: BackboneSettings = BACKBONE) -> Network:
    """The network of the tasks of ``SPACE``, from drawn weights."""
    torch.manual_seed(0)
    learned = settings.learned(SPACE)
    encoder = settings.build(backbone, SIZE, learned.task_names)
    return Network(encoder, learned, dict.fromkeys(learned.task_names, LinearSettings()))


def images(batch: int = 4) -> Tensor:
    """Drawn, (batch, 3, H, W)."""
    return torch.randn(batch, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def learns_the_same_classes(settings: SharingSettings) -> None:
    """Whatever tasks it makes of them, their classes have the indices that they had."""
    settings.check(SPACE)
    learned = settings.learned(SPACE)
    expect(learned.class_names == SPACE.class_names, settings, "learn the same classes in the same order")
    same = (learned.possible == SPACE.possible).all()
    expect(same, settings, "learn the same classes as those that can occur")


def every_task_has_features_of_the_widths_that_it_says(
    settings: SharingSettings, backbone: BackboneSettings = BACKBONE
) -> None:
    """And all of them side by side are what an image becomes."""
    network = built(settings, backbone).eval()
    encoder = network.backbone
    expect(isinstance(encoder, Encoder), settings, f"build an Encoder, not a {type(encoder).__name__}")
    encoded = encoder.forward_features(images())
    tasks = settings.learned(SPACE).task_names
    read = [encoded.of(task) for task in tasks]
    for task, found in zip(tasks, read, strict=True):
        wide = (4, encoder.widths.pooled)
        expect(found.pooled.shape == wide, settings, f"give {task} {wide} features, not {tuple(found.pooled.shape)}")
        if encoder.widths.map:
            places = found.map is not None and found.map.ndim == 3 and found.map.shape[::2] == (4, encoder.widths.map)
            expect(places, settings, f"give {task} a map of (4, places, {encoder.widths.map})")
    all_wide = (4, encoder.all_widths.pooled)
    expect(encoded.pooled.shape == all_wide, settings, f"give {all_wide} features of all trunks side by side")
    expect_equal(encoder(images()), encoded.pooled, settings, "give the same features of the same images each time")
    trunks = len({id(found) for found in read})
    expect(encoder.num_trunks == trunks, settings, f"say num_trunks as they are: {trunks}")
    expect(settings.apart == (trunks > 1), settings, f"say apart as it is: {trunks > 1}")


def every_parameter_learns(settings: SharingSettings, backbone: BackboneSettings = BACKBONE) -> None:
    """From the log-probabilities of the heads, in one group of the optimiser each."""
    network = built(settings, backbone)
    answers = network(images())
    sum(values.square().sum() for values in answers.values()).backward()
    for name, parameter in network.named_parameters():
        finite = parameter.grad is not None and bool(torch.isfinite(parameter.grad).all())
        expect(finite, settings, f"give {name} a finite gradient")
    for layer_decay in (None, 0.5):
        groups = network.parameter_groups(0.1, layer_decay)
        grouped = sorted(id(parameter) for group in groups for parameter in group["params"])
        rule = f"put every parameter into one of the optimiser's groups, with layer_decay {layer_decay}"
        expect(grouped == sorted(map(id, network.parameters())), settings, rule)
        scales = [group.get("lr_scale", 1.0) for group in groups]
        expect(all(0 < scale <= 1 for scale in scales), settings, f"give no layer a higher learning rate, as {scales}")


def heads_of_one_trunk_share_its_features(settings: SharingSettings, backbone: BackboneSettings = BACKBONE) -> None:
    """Which balancers combine gradients at; of several trunks no feature is all heads'."""
    network = built(settings, backbone)
    encoded = network.forward_features(images())
    shared = network.shared(encoded)
    expect((shared is None) == (network.backbone.num_trunks > 1), settings, "share features as it says num_trunks")
    if shared is None:
        return
    below = next(parameter for parameter in network.backbone.parameters() if parameter.requires_grad)
    for values in network.forward_heads(encoded).values():
        there, whole = torch.autograd.grad(values.square().sum(), [shared, below], retain_graph=True)
        (through,) = torch.autograd.grad(shared, below, there, retain_graph=True)
        expect_equal(through, whole, settings, "lead all of each head's gradient through what heads share", 1e-5, 1e-3)


def state_goes_round(settings: SharingSettings, backbone: BackboneSettings = BACKBONE) -> None:
    """A checkpoint holds all that the answers depend on, and is known by it."""
    network, other = built(settings, backbone), built(settings, backbone)
    network(images(8))  # moves the statistics
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    digests = [one.backbone.state_digest() for one in (network, other)]
    expect(digests[0] != digests[1], settings, "have another state_digest with other weights")
    other.load_state_dict(network.state_dict())
    expect(other.backbone.state_digest() == digests[0], settings, "have the same state_digest with the same weights")
    found, wanted = other.eval()(images()), network.eval()(images())
    for name in wanted:
        expect_equal(found[name], wanted[name], settings, "answer the same once its state is loaded", 1e-6)


SHARING_CHECKS = (
    every_task_has_features_of_the_widths_that_it_says,
    every_parameter_learns,
    heads_of_one_trunk_share_its_features,
    state_goes_round,
)
"""What is checked of a way to share that is built, each alone."""


def check_sharing(settings: SharingSettings, backbone: BackboneSettings = BACKBONE) -> None:
    """The contract of ways to share a network, whole, over one of them.

    >>> from multitask.model import SHARINGS
    >>> check_sharing(SHARINGS["branch"](at="layer2"))

    Args:
        settings: the way to share.
        backbone: that it is built of; give another one where the settings name stages of it.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    learns_the_same_classes(settings)
    for check in SHARING_CHECKS:
        check(settings, backbone)
