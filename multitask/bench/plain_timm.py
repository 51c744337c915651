"""Training as timm's users write it, the other side of ``multitask bench --whole``; a process of its own.

After timm's train script, which is not in its wheel, on one CPU or GPU: timm's loaders with their worker processes and
default augmentation, AdamW under a one-cycle schedule, ``ModelEmaV3``, and after each epoch the averaged weights
validated and a checkpoint saved. (Timm's own script validates the weights before averaging too.)
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import multitask.model.vision_ops  # noqa: F401  (before timm)

import timm  # isort: skip
from timm.data import create_dataset, create_loader, resolve_data_config  # isort: skip
from timm.utils import AverageMeter, CheckpointSaver, ModelEmaV3, accuracy  # isort: skip


@dataclass(frozen=True, kw_only=True)
class PlainSettings:
    """The settings of one training, as JSON holds them.

    Attributes:
        root: its folders ``train`` and ``val`` hold a folder for each class.
        classes: a file that names these in order.
        num_classes: how many they are.
        out: a folder that is there.
        model: timm's name of it.
        options: passed to timm as they are.
        image_size: (height, width).
        batch_size: of training and validation.
        epochs: all are trained.
        lr: the highest learning rate.
        weight_decay: AdamW's.
        ema_decay: what the average of the weights keeps of itself at each step.
        workers: processes of each loader.
        device: torch's name of it.
        seed: of the weights and the order.
    """

    root: str
    classes: str
    num_classes: int
    out: str
    model: str
    options: dict[str, object]
    image_size: tuple[int, int]
    batch_size: int
    epochs: int
    lr: float
    weight_decay: float
    ema_decay: float
    workers: int
    device: str
    seed: int


def main(settings: PlainSettings) -> None:
    """Trains and writes ``images_per_s``, an epoch each, to ``<out>/speed.json``."""
    torch.manual_seed(settings.seed)
    device = torch.device(settings.device)
    model = timm.create_model(settings.model, pretrained=False, num_classes=settings.num_classes, **settings.options)
    model = model.to(device=device, memory_format=torch.channels_last)
    loaders = {split: _loader(split, model, settings, device) for split in ("train", "val")}
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = settings.epochs * len(loaders["train"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps)
    average = ModelEmaV3(model, decay=settings.ema_decay, use_warmup=True)
    saver = CheckpointSaver(model, optimizer, model_ema=average, checkpoint_dir=settings.out)
    speeds = []
    for epoch in range(settings.epochs):
        speeds.append(_train(epoch, model, average, loaders["train"], optimizer, schedule))
        top1 = _validate(average.module, loaders["val"])
        saver.save_checkpoint(epoch, metric=top1)
        print(f"epoch {epoch}: {speeds[-1]:.1f} images/s, accuracy {top1:.1f}%", flush=True)  # noqa: T201
    Path(settings.out, "speed.json").write_text(json.dumps({"images_per_s": speeds}), encoding="utf-8")


def _loader(split: str, model: Any, settings: PlainSettings, device: torch.device) -> Any:
    known = resolve_data_config({}, model=model)
    return create_loader(
        create_dataset("", settings.root, split=split, class_map=settings.classes, is_training=split == "train"),
        input_size=(3, *settings.image_size),
        batch_size=settings.batch_size,
        is_training=split == "train",
        mean=known["mean"],
        std=known["std"],
        num_workers=settings.workers,
        device=device,
    )


def _train(epoch: int, model: nn.Module, average: ModelEmaV3, loader: Any, optimizer: Any, schedule: Any) -> float:
    """Images per second of one epoch."""
    model.train()
    criterion, losses = nn.CrossEntropyLoss(), AverageMeter()
    started, num_images = time.perf_counter(), 0
    for number, (images, classes) in enumerate(loader):
        loss = criterion(model(images.contiguous(memory_format=torch.channels_last)), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update(model, step=epoch * len(loader) + number)
        losses.update(loss.item(), len(images))
        num_images += len(images)
    return num_images / (time.perf_counter() - started)


def _validate(model: nn.Module, loader: Any) -> float:
    """Accuracy in percent."""
    model.eval()
    meter = AverageMeter()
    with torch.inference_mode():
        for images, classes in loader:
            (top1,) = accuracy(model(images.contiguous(memory_format=torch.channels_last)), classes)
            meter.update(top1.item(), len(images))
    return float(meter.avg)


if __name__ == "__main__":
    main(PlainSettings(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
