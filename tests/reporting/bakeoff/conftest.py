"""A bake-off's report, made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.reporting.bakeoff.report_schema import BakeoffReport
from multitask.utils.records import parse_record

TASKS = ("mask", "gender", "age")


def gap(value: float, width: float) -> dict[str, Any]:
    low, high = value - width, value + width
    return {"value": value, "low": low, "high": high, "beyond_noise": low > 0 or high < 0}


def figure(value: float, passes: int) -> dict[str, Any]:
    return {"value": value, "ci": [max(value - 0.06, 0.0), min(value + 0.06, 1.0)], "passes": [value] * passes}


@pytest.fixture
def make_report(make_data: Callable[..., dict[str, Any]]) -> Callable[..., BakeoffReport]:
    """As ``make_data``, read."""

    def make(**more: Any) -> BakeoffReport:
        return parse_record(json.dumps(make_data(**more)), BakeoffReport, Path("report.json"))

    return make


@pytest.fixture
def make_data() -> Callable[..., dict[str, Any]]:
    """``make_data(names, points=(40, "all"), failed=("x",), unseen=True)``; the first name is the reference."""

    def make(
        names: tuple[str, ...] = ("flat", "shared", "shared + logit adjustment"),
        points: tuple[Any, ...] = ("all",),
        failed: tuple[str, ...] = (),
        unseen: bool = False,
        tune: bool = False,
        tasks: tuple[str, ...] = TASKS,
        seeds: int = 3,
    ) -> dict[str, Any]:
        rng = np.random.default_rng(0)
        rows = []
        for place, point in enumerate(points):
            contenders: dict[str, Any] = {}
            for number, name in enumerate(names):
                if name in failed:
                    contenders[name] = {"difference": None, "failure": "heads.age: the loss is nan", "epochs": [6]}
                    continue
                score = 0.4 + 0.03 * number + 0.05 * place
                difference = {**gap(0.03 * number, 0.04), "together": {**gap(0.03 * number, 0.05), "level": 0.975}}
                contenders[name] = {
                    "difference": difference if number else None,
                    "failure": None,
                    "epochs": [6] if number else [5, 6],
                    **{key: figure(score, 1) for key in ("metric", "joint", "accuracy")},
                    "tasks": {task: figure(min(score + 0.1, 1.0), 1) for task in tasks},
                    "unseen": figure(0.1 * number, 1) if unseen else None,
                    "class_f1": {"a": 0.5},
                    "runs": [
                        {"seed": seed, "score": score + float(rng.normal(0, 0.02)), "joint": score, "seconds": 61.0,
                         "train_groups": 160 if point == "all" else point, "train_images": 1000}
                        for seed in range(seeds)
                    ],
                    "images_seen": 6000,
                    "seconds": 61.0,
                    "train_images_per_s": 431.2,
                    "num_parameters": 2_230_000,
                    "cuda_peak_bytes": None,
                }  # fmt: skip
            known = [name for name in names if name not in failed]
            matrix = {
                one: {two: None if one == two else gap(0.03 * (names.index(one) - names.index(two)), 0.04)
                      for two in known}
                for one in known
            }  # fmt: skip
            rows.append(
                {"point": point, "num_groups": 241, "num_images": 1687, "contenders": contenders, "matrix": matrix}
            )
        tried = [{"values": {"training.lr": lr}, "score": lr} for lr in (0.001, 0.003)] if tune else []
        memory = {"parameters": 9_000_000, "gradients": 9_000_000, "optimizer": 18_000_000}
        memory |= {"activations": 123_400_000, "total": 159_400_000}
        return {
            "bakeoff": "sharing",
            "created": "2026-11-25T10:15:00+00:00",
            "base": "mask18_mini.yaml",
            "metric": "joint.macro_f1",
            "reference": names[0],
            "sentences": ["shared + logit adjustment beats flat by 6.0 points, 95% 2.0 to 10.0."],
            "tasks": list(tasks),
            "seeds": list(range(seeds)),
            "num_folds": 3,
            "num_passes": 1,
            "budget": {"images": 6000},
            "axis": list(points) if len(points) > 1 else None,
            "tune": {"training.lr": [0.001, 0.003]} if tune else {},
            "contenders": [
                {
                    "name": name,
                    "config": "mask18_mini.yaml",
                    "changes": {"model.sharing.name": name},
                    "tuned": {"training.lr": 0.003} if tune else {},
                    "tuning": tried,
                    "answered_from": None,
                    "training_memory": {**memory, "batch_size": 32},
                    "inference_images_per_s": 1234.5,
                }
                for name in names
            ],
            "points": rows,
        }

    return make
