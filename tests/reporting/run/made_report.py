"""A report of a run with its history and images, made up, and its page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np

from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord
from multitask.reporting.html import CaptionedImage, Mistake
from multitask.reporting.run.page import render_report
from multitask.utils.records import from_data, parse_record

MASK = {"mask": ["wear", "incorrect", "not_wear"], "gender": ["male", "female"], "age": ["<30", "30-59", ">=60"]}
TINY = {"mask": ["wear", "not_wear"], "gender": ["male", "female"]}


def make_scores(rng, names, num_images):
    size = len(names)
    matrix = np.diag(rng.multinomial(num_images - size, np.full(size, 1 / size)))
    matrix[np.arange(size), (np.arange(size) + 1) % size] += 1
    bins = [
        {"low": low / 15, "high": (low + 1) / 15, "count": low, "confidence": (low + 0.5) / 15, "accuracy": low / 15}
        for low in range(15)
    ]
    bins[0] |= {"confidence": None, "accuracy": None}
    return {
        "num_images": num_images,
        "num_groups": 50,
        "accuracy": 0.9,
        "accuracy_ci": [0.86, 0.93],
        "macro_f1": 0.88,
        "macro_f1_ci": [0.8, 0.92],
        "ece": 0.04,
        "absent_classes": [],
        "classes": [
            {"name": name, "support": int(count), "precision": 0.9, "recall": 0.8, "f1": 0.85}
            for name, count in zip(names, matrix.sum(1), strict=True)
        ],
        "confusion": matrix.tolist(),
        "reliability": bins,
    }


def make_rule(name, value, gap, in_sample):
    return {
        "name": name,
        "macro_f1": value,
        "macro_f1_ci": [value - 0.07, value + 0.05],
        "difference": None if gap is None else value - 0.88,
        "difference_ci": gap,
        "beyond_noise": None if gap is None else gap[0] > 0 or gap[1] < 0,
        "in_sample": in_sample,
    }


def make_promises(tasks):
    names = [*tasks, "joint"]
    measured = {"observed": 0.91, "observed_ci": [0.88, 0.94], "mean_size": 1.25, "mean_size_ci": [1.2, 1.3]}
    sets = [{"coverage": 0.9, **measured, "singles": 0.75, "num_own": 2}, {"coverage": 0.95, "num_own": 0}]
    points = [{"answered": step / 20, "error": step / 100} for step in range(1, 21)]
    at = [
        {"max_risk": 0.01, "answered": 0.0, "error": None, "error_ci": None},
        {"max_risk": 0.1, "answered": 0.65, "error": 0.04, "error_ci": [0.02, 0.06]},
    ]
    curves = {name: {"aurc": 0.1 + place / 100, "points": points} for place, name in enumerate(names)}
    return {"sets": dict.fromkeys(names, sets), "selective": {"curves": curves, "at": at}}


def make_report(tasks, num_images=350):
    rng = np.random.default_rng(0)
    names = ["/".join(parts) for parts in itertools.product(*tasks.values())]
    split = {
        "num_images": num_images,
        "num_groups": 50,
        "joint": list(range(len(names))),
        "tasks": {task: list(range(len(labels))) for task, labels in tasks.items()},
    }
    return {
        "run": "demo-1",
        "split": "val",
        "created": "2026-11-23T10:15:00+00:00",
        "num_images": num_images,
        "num_groups": 50,
        "decode": {"name": "independent"},
        "joint": make_scores(rng, names, num_images),
        "tasks": {task: make_scores(rng, labels, num_images) for task, labels in tasks.items()},
        "attribution": {
            "macro_f1": 0.88,
            "perfect": {task: 0.9 + 0.01 * place for place, task in enumerate(tasks)},
            "lost": {task: 0.03 + 0.02 * place for place, task in enumerate(tasks)},
            "absent": 0.0,
        },
        "decode_rules": {
            "used": "independent",
            "picked": "expected_f1",
            "sentence": "expected_f1 has the best cross-fitted score; used is independent, which the config names",
            "note": "",
            "cross_fitted": True,
            "num_folds": 5,
            "fitted_on": {"num_groups": 50, "num_images": num_images},
            "temperatures": dict(zip(tasks, (0.5, 1.05, 2.25), strict=False)),
            "rules": [
                make_rule("independent", 0.88, None, None),
                make_rule("expected_f1", 0.91, [0.01, 0.05], 0.92),
                make_rule("class_bias", 0.86, [-0.06, 0.02], 0.95),
            ],
        },
        "joint_term": {
            "heads_only": 0.87,
            "heads_only_ci": [0.8, 0.9],
            "with_term": 0.88,
            "with_term_ci": [0.81, 0.91],
            "difference": 0.01,
            "difference_ci": [-0.01, 0.03],
            "beyond_noise": False,
            "sentence": "The joint term is not shown to be needed.",
        },
        **make_promises(tasks),
        "class_distribution": {"train": split, "val": split},
        "training": {
            "best_epoch": 2,
            "num_epochs": 3,
            "monitor": "joint.macro_f1",
            "seconds": 81.0,
            "seed": 0,
            "backbone": "mobilenetv2_100",
            "num_parameters": 2300000,
            "device": "cpu",
            "sharing": "shared",
        },
    }


def unlabelled_whole():
    """A report where no image has all labels, and none a label of the last task."""
    report = make_report(TINY)
    unknown = {
        "num_images": 0,
        "accuracy": None,
        "macro_f1": None,
        "accuracy_ci": None,
        "macro_f1_ci": None,
        "ece": None,
    }
    last = list(TINY)[-1]
    report["joint"] |= unknown
    report["tasks"][last] |= unknown
    report["attribution"] |= {"macro_f1": None, "absent": None, "perfect": {}, "lost": None}
    report["first_frames"] = {"num": 2, "example": "a.tif"}
    for row in report["decode_rules"]["rules"]:
        row |= dict.fromkeys(("macro_f1", "macro_f1_ci", "difference", "difference_ci", "in_sample"))
    report["decode_rules"]["temperatures"][last] = 1.0
    for split in report["class_distribution"].values():
        split["joint"] = [0] * len(split["joint"])
        split["tasks"][last] = [0] * len(split["tasks"][last])
    return report


def make_history(tasks, heads=None, num_epochs=3):
    heads = heads or list(tasks)
    rows = []
    for epoch in range(1, num_epochs + 1):
        val = {head: {"loss": 1.1 / epoch} for head in heads}
        for task in tasks:
            val.setdefault(task, {}).update(macro_f1=min(1.0, 0.3 * epoch), accuracy=min(1.0, 0.3 * epoch))
        rows.append(
            {
                "epoch": epoch,
                "lr": 1e-3,
                "seconds": 8.1,
                "images_per_s": 210.0,
                "best": epoch == 2,
                "train": {"loss": 2 / epoch, "tasks": {head: {"loss": 1 / epoch} for head in heads}},
                "val": {
                    "loss": 2.2 / epoch,
                    "joint": {"macro_f1": min(1.0, 0.25 * epoch), "accuracy": min(1.0, 0.26 * epoch)},
                    "tasks": val,
                },
            }
        )
    return rows


def make_pixels(number):
    return np.random.default_rng(number).integers(0, 256, (128, 96, 3), dtype=np.uint8)


def make_mistakes(tasks, number=3):
    first, last = ("/".join(labels[place] for labels in tasks.values()) for place in (0, -1))
    return [
        Mistake(make_pixels(place), f"{place}.jpg", f"p{place}", first, last, 0.5 + place / 100, tuple(tasks)[:1])
        for place in range(number)
    ]


def render(tasks, **changes):
    arguments = {
        "report": make_report(tasks),
        "history": make_history(tasks),
        "augmented": [CaptionedImage(make_pixels(9), "wear <b>")],
        "mistakes": make_mistakes(tasks),
    } | changes
    report, history = arguments.pop("report"), arguments.pop("history")
    if isinstance(report, dict):
        report = parse_record(json.dumps(report), RunReport, Path("report.json"))
    arguments["fold_histories"] = [records(rows) for rows in arguments.get("fold_histories", ())]
    return render_report(report, records(history), **arguments)


def records(rows):
    return [from_data(row, EpochRecord) for row in rows]


def in_folds(num_folds, tasks=MASK):
    """What is given to the page of a run in folds, with classes that were never trained on."""
    report = make_report(tasks)
    report["folds"] = [
        {
            "fold": index,
            "num_groups": 10 + index,
            "num_images": 1070 + index,
            "macro_f1": 0.5 + index / 100,
            "tasks": dict.fromkeys(tasks, 0.6 + index / 100),
            "best_epoch": index + 1,
            "num_epochs": index + 2,
        }
        for index in range(num_folds)
    ]
    report["training"] |= {"num_folds": num_folds, "best_epoch": None}
    report["unseen"] = {
        "num_images": 12,
        "num_groups": 1,
        "classes": report["joint"]["classes"][3:5],
        "macro_f1": 0.25,
        "macro_f1_ci": [0.1, 0.4],
        "seen_macro_f1": 0.75,
        "seen_macro_f1_ci": None,
    }
    histories = [make_history(tasks, num_epochs=index + 2) for index in range(num_folds)]
    return {"report": report, "history": [], "fold_histories": histories}
