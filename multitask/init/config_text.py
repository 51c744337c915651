"""A proposed config as YAML with comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitask.init.backbone import Plan
from multitask.init.tasks import FoundTask
from multitask.settings.yaml_text import flow_yaml
from multitask.utils.shipped import schema_file
from multitask.utils.spelling import plural

_MAX_COUNTED = 8
_WIDTH = 118


def config_text(
    head: Sequence[str],
    tasks: Sequence[FoundTask],
    impossible: Sequence[Mapping[str, str]],
    data: Mapping[str, tuple[Any, str]],
    flip: bool,
    plan: Plan,
    left_out: Mapping[str, str],
    monitor: tuple[str, str] | None = None,
) -> str:
    """The file.

    Args:
        head: lines of the comment at its top.
        tasks: the label space.
        impossible: the cells.
        data: key -> value and comment of the ``data`` section.
        flip: whether left and right may be swapped.
        plan: backbone, size and epochs.
        left_out: column -> why it is no task.
        monitor: the score to watch, and why it is not the usual one; None: it is.
    """
    lines = [f"# yaml-language-server: $schema={schema_file()}", *(f"# {line}".rstrip() for line in head)]
    lines += ["", "labels:", "  tasks:                     # the first varies slowest"]
    for task in tasks:
        lines += _with_comment(f"    {flow_yaml(task.name)}: {flow_yaml(task.settings())}", counts_text(task))
    lines += [f"    # not a task: {column}, {why}" for column, why in left_out.items()][:20]
    if impossible:
        lines.append(
            "  impossible:                # never seen, though ten or more would be expected; remove what can be"
        )
        lines += [f"    - {flow_yaml(cell)}" for cell in impossible]
    lines += ["", "data:"]
    for key, (value, comment) in data.items():
        if isinstance(value, Mapping):
            lines += _with_comment(f"  {key}:", comment)
            lines += [f"    {flow_yaml(name)}: {flow_yaml(item)}" for name, item in value.items()]
        else:
            lines += _with_comment(f"  {key}: {flow_yaml(value)}", comment)
    how = "# left and right look to be classes, so images are not mirrored" if not flip else ""
    lines += [
        "",
        *_with_comment(f"augment: {flow_yaml({'strength': 0.4, **({} if flip else {'flip': False})})}", how[2:]),
    ]
    lines += ["", "model:"]
    if plan.backbone["weights"] == "none":
        lines += [
            "  # weights: none learns from nothing and needs no download. Pretrained weights learn far more of little:",
            "  # any timm model, as {name: convnext_tiny.fb_in22k, weights: hub} or weights: FILE, and lr: 3e-4",
        ]
    lines += [f"  backbone: {flow_yaml(plan.backbone)}", "", "training:"]
    lines += _with_comment(f"  epochs: {plan.epochs}", plan.in_words)
    lines += [f"  batch_size: {plan.batch_size}", f"  lr: {flow_yaml(plan.lr)}", "  optimizer: {weight_decay: 0.05}"]
    if monitor is not None:
        lines += _with_comment(f"  monitor: {flow_yaml(monitor[0])}", monitor[1])
    return "\n".join(lines) + "\n"


def counts_text(task: FoundTask) -> str:
    """How the images are shared out among a task's classes."""
    counts = task.counts
    total = sum(counts.values()) or 1
    if len(counts) > _MAX_COUNTED:
        rarest = min(counts, key=counts.__getitem__)
        most = max(counts, key=counts.__getitem__)
        if counts[rarest] == counts[most]:
            return f"{len(counts)} classes of {plural(counts[most], 'image', 'images')} each"
        return f"{len(counts)} classes; {most}: {counts[most]:,}, {rarest}: {plural(counts[rarest], 'image', 'images')}"
    unknown = len(task.labels) - total
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.items())
    return shares + (f"; {unknown:,} unknown" if unknown else "")


def _with_comment(line: str, comment: str) -> list[str]:
    """A line with its comment behind it; before it where both are too long."""
    if not comment:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    if len(line) + len(comment) + 5 <= _WIDTH:
        return [f"{line}   # {comment}"]
    return [f"{indent}# {comment}", line]
