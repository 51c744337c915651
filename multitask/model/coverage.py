"""The part of an image that a network reads, measured by gradients, so that it holds for any network.

A ViT whose patch does not divide the image, or a convolution whose stride does not, leaves out a strip at the border
and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.creation import create_body, is_fixed_size
from multitask.model.settings import BackboneSettings

_MAX_PROBES = 4
"""Random images, one after the other: where max-pooling or a ReLU hides a row of one, the next one shows it."""
_MAX_SIZES = 16
"""That are tried in search of one that is read whole."""
_CLOSED = 1e-4
"""The largest element of a gain that hides what its branch reads."""

Margins = tuple[int, int, int, int]
"""Rows at the top and bottom, columns at the left and right, that are not read."""
WHOLE: Margins = (0, 0, 0, 0)


def unread_margins(body: Any, image_size: tuple[int, int]) -> Margins:
    """The strips at the borders of an image that a network does not read.

    A row is read where the pooled features have a gradient at one of its pixels that float32 can show beside the
    strongest row's: above its epsilon times that. A network that skips rows inside too, as one that begins with a
    1 x 1 convolution of stride 2, is taken to read the image whole as long as no border strip is wider than what it
    skips. Parameters, statistics and torch's random numbers are left as they were.

    Args:
        body: a timm model in evaluation mode, on the CPU.
        image_size: (H, W) in pixels.

    Raises:
        RuntimeError, AssertionError, ValueError: the network cannot take images of this size.
    """
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(image_size)
    with _parameters_as_trained(body), torch.random.fork_rng(devices=[]):
        for _ in range(_MAX_PROBES):
            total += _sensitivity(body, torch.randn(1, 3, *image_size, generator=generator), generator)
            margins = *_margins(total.amax(dim=1)), *_margins(total.amax(dim=0))
            if margins == WHOLE:
                break
    return margins


def check_reads_whole(settings: BackboneSettings, image_size: tuple[int, int], body: Any) -> None:
    """Refuses an image size of which a network leaves out a margin (``unread_margins``).

    Raises:
        UserError: it does; names the nearest size that it does, and its own padding where that helps.
    """
    training = body.training
    margins = unread_margins(body.eval(), image_size)
    body.train(training)
    if margins == WHOLE:
        return

    def read(size: tuple[int, int], **options: Any) -> Margins | None:
        """The margins of another size; None where the network cannot take it."""
        other = settings.model_copy(update={"options": {**settings.options, **options}})
        try:
            if not options and not is_fixed_size(settings):
                return unread_margins(body.eval(), size)
            return unread_margins(create_body(other, size, pretrained=False).eval(), size)
        except (UserError, RuntimeError, AssertionError, ValueError):
            return None

    nearest = _nearest_whole_size(image_size, margins, _first_stride(body), read)
    ways = [] if nearest is None else [f"the nearest size that it reads whole is {nearest[0]} x {nearest[1]}"]
    can_pad = hasattr(getattr(body, "patch_embed", None), "dynamic_img_pad")
    if can_pad and read(image_size, dynamic_img_pad=True) == WHOLE:
        ways.append("model.backbone.options: {dynamic_img_pad: true} pads the images")
    height, width = image_size
    raise UserError(
        f"data.image_size: {settings.name} does not read images of {height} x {width} px whole: it ignores "
        f"{_strips(margins)}" + "".join(f"; {way}" for way in ways)
    )


def _strips(margins: Margins) -> str:
    names = ("row{} at the top", "row{} at the bottom", "column{} at the left", "column{} at the right")
    counted = [(count, name.format("" if count == 1 else "s")) for count, name in zip(margins, names, strict=True)]
    return " and ".join(f"{count} {name}" for count, name in counted if count)


def _nearest_whole_size(
    image_size: tuple[int, int], margins: Margins, stride: int, read: Callable[[tuple[int, int]], Margins | None]
) -> tuple[int, int] | None:
    """The nearest size that a network reads whole; None where none is found near.

    Args:
        image_size: (H, W) that it does not read whole.
        margins: what it leaves out of that.
        stride: of its first convolution, in pixels.
        read: the margins of another size; None where the network cannot take it.
    """
    top, bottom, left, right = margins
    heights = _sides(image_size[0], top + bottom, stride)
    widths = _sides(image_size[1], left + right, stride)
    candidates = islice(_by_distance(image_size, heights, widths), _MAX_SIZES)
    return next((candidate for candidate in candidates if read(candidate) == WHOLE), None)


def _sides(side: int, unread: int, stride: int) -> list[int]:
    """The lengths to try for one side: its own where it is read whole, else those near it."""
    if not unread:
        return [side]
    near = range(max(8, side - 2 * unread), side + 2 * max(unread, stride) + 1)
    multiples = [length for length in near if length % stride == 0]
    return multiples if stride > 2 and multiples else [length for length in near if length != side]


def _by_distance(size: tuple[int, int], heights: list[int], widths: list[int]) -> Iterator[tuple[int, int]]:
    """Sizes, those first whose sides differ least."""

    def distance(candidate: tuple[int, int]) -> tuple[int, int]:
        off = [abs(new - old) for new, old in zip(candidate, size, strict=True)]
        return sum(off), -sum(candidate)

    yield from sorted(product(heights, widths), key=distance)


def _first_stride(body: nn.Module) -> int:
    """The stride of the first convolution that a network lists; 1 where it has none."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            return int(module.stride[0])
    return 1


def _sensitivity(body: Any, image: Tensor, generator: torch.Generator) -> Tensor:
    """(H, W), how strongly a random mix of the pooled features depends on each pixel."""
    image.requires_grad_(True)
    with torch.enable_grad():
        pooled: Tensor = body.forward_head(body.forward_features(image * 1), pre_logits=True)  # none writes to a leaf
        if not pooled.requires_grad:
            return torch.zeros(image.shape[2:])
        mix = (pooled * torch.randn(pooled.shape, generator=generator)).sum()
        (gradient,) = torch.autograd.grad(mix, image)
    return gradient.abs().amax(dim=(0, 1))


def _margins(strength: Tensor) -> tuple[int, int]:
    """The pixels of one side before the first and after the last row that is read."""
    read = (~(strength <= torch.finfo(torch.float32).eps * strength.max())).nonzero().flatten()  # NaN counts as read
    if not len(read):
        return 0, 0  # nothing can be said
    skipped = int(read.diff().max()) - 1 if len(read) > 1 else 0
    before, after = int(read[0]), len(strength) - 1 - int(read[-1])
    return before if before > skipped else 0, after if after > skipped else 0


@contextmanager
def _parameters_as_trained(body: nn.Module) -> Iterator[None]:
    """Parameters that need no gradient, and branches that begin at zero, or all but so, opened.

    The gain of a residual branch often begins at 0, and layer scale at 1e-6 to 1e-4, which hides until the first steps
    all that the branch reads.
    """
    parameters = list(body.named_parameters())
    trained = [parameter.requires_grad for _, parameter in parameters]
    with torch.no_grad():
        closed = [
            (p, p.clone()) for name, p in parameters if not name.endswith("bias") and float(p.abs().max()) <= _CLOSED
        ]
        generator = torch.Generator().manual_seed(0)
        for parameter, _ in closed:
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.02, generator=generator)
            else:
                parameter.fill_(1.0)
    body.requires_grad_(False)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, before in closed:
                parameter.copy_(before)
        for (_, parameter), requires_grad in zip(parameters, trained, strict=True):
            parameter.requires_grad_(requires_grad)
