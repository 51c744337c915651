"""A study of so many trials, made up, and its page."""

from __future__ import annotations

import numpy as np

from multitask.reporting.study import page as study_page
from tests.reporting.study.reports import study_report

TASKS = ["mask", "gender", "age"]

PARAMS = [
    {"name": "augment.strength", "kind": "float", "low": 0.0, "high": 1.0, "log": False, "step": None, "choices": None},
    {"name": "training.lr", "kind": "float", "low": 1e-4, "high": 1e-2, "log": True, "step": None, "choices": None},
    {
        "name": "augment.families.photometric",
        "kind": "int",
        "low": 0,
        "high": 4,
        "log": False,
        "step": 1,
        "choices": None,
    },
    {
        "name": "heads.age.loss.name",
        "kind": "categorical",
        "low": None,
        "high": None,
        "log": False,
        "step": None,
        "choices": ["cross_entropy", "focal", "ordinal"],
    },
    {
        "name": "heads.age.loss.gamma",
        "kind": "float",
        "low": 0.5,
        "high": 4,
        "log": False,
        "step": 0.5,
        "choices": None,
    },
    {
        "name": "augment.cutmix",
        "kind": "categorical",
        "low": None,
        "high": None,
        "log": False,
        "step": None,
        "choices": [True, False],
    },
]

BASE = {
    "augment.strength": 0.9,
    "training.lr": 1e-3,
    "augment.families.photometric": 2,
    "heads.age.loss.name": "cross_entropy",
    "augment.cutmix": False,
}


def render_study(data):
    return study_page.render_study(study_report(data))


def draw_value(rng, param):
    if param["kind"] == "categorical":
        return param["choices"][rng.integers(len(param["choices"]))]
    if param["kind"] == "int":
        return int(rng.integers(param["low"], param["high"] + 1))
    if param["log"]:
        return float(param["low"] * (param["high"] / param["low"]) ** rng.random())
    return float(rng.uniform(param["low"], param["high"]))


def make_trial(rng, number, tasks, params, num_objectives, epochs, state):
    if number == 0:
        settings = {param["name"]: BASE[param["name"]] for param in params if param["name"] in BASE}
    else:
        settings = {param["name"]: draw_value(rng, param) for param in params}
        if settings.get("heads.age.loss.name") != "focal":
            settings.pop("heads.age.loss.gamma", None)
    ratios = np.exp(rng.normal(0, 0.7 if number else 0, len(tasks)))
    weights = dict(zip(tasks, (ratios / ratios.sum() * len(tasks)).tolist(), strict=True))
    skill = 0.06 - 0.1 * (settings.get("augment.strength", 0.5) - 0.35) ** 2
    skill -= 0.05 * np.log10(settings.get("training.lr", 1e-3) / 2e-3) ** 2
    trained = epochs if state == "finished" else int(rng.integers(1, epochs))
    history = []
    for epoch in range(1, trained + 1):
        grown = 1 - np.exp(-epoch / 2.2)
        found = {
            task: float(
                np.clip(grown * (0.9 - 0.35 * place / len(tasks) + 0.05 * np.log(weights[task]) + skill), 0.02, 1)
                + rng.normal(0, 0.008)
            )
            for place, task in enumerate(tasks)
        }
        joint = float(np.prod(list(found.values())) ** (1.3 / len(tasks)) * 0.8)
        history.append({"epoch": epoch, "joint": joint, "tasks": found})
    best = max(history, key=lambda row: row["joint"])
    values = [best["joint"], *(1 - best["tasks"][task] for task in tasks)][:num_objectives]
    failed = state == "failed"
    return {
        "number": number,
        "origin": "base" if number == 0 else "sampled",
        "state": state,
        "values": values if state == "finished" else None,
        "best_score": None if failed else best["joint"],
        "params": settings,
        "weights": weights,
        "scores": None if failed else {"joint": best["joint"], "tasks": best["tasks"]},
        "history": history,
        "seconds": 4.2 * trained,
        "started": "2026-11-23T10:15:00+00:00",
        "finished": "2026-11-23T10:16:00+00:00",
        "failure": "FloatingPointError: the loss is not a number (nan) after step 12 of epoch 2" if failed else None,
        "note": f"median pruner: after epoch {trained} worse than the median" if state == "pruned" else None,
    }


def make_study(num_trials=30, tasks=TASKS, params=PARAMS, num_objectives=1, epochs=8, states=None, confirmed=True):
    rng = np.random.default_rng(0)
    trials = []
    for number in range(num_trials):
        drawn = rng.choice(["finished", "pruned", "failed"], p=[0.6, 0.33, 0.07]) if number else "finished"
        trials.append(
            make_trial(rng, number, tasks, params, num_objectives, epochs, states[number] if states else str(drawn))
        )
    finished = [trial for trial in trials if trial["state"] == "finished"]
    ranked = sorted(finished, key=lambda trial: -trial["values"][0])
    counts = {state: sum(trial["state"] == state for trial in trials) for state in ("finished", "pruned", "failed")}
    shares = rng.dirichlet(np.ones(max(len(params), 1))).tolist()
    front = []
    if num_objectives > 1:
        best = float("inf")
        for trial in ranked:
            if trial["values"][1] < best:
                best = trial["values"][1]
                front.append(trial["number"])
    return {
        "study": "loss_and_augmentation",
        "created": "2026-11-23T10:15:00+00:00",
        "base": "configs/mask18_mini.yaml",
        "objectives": [
            {"metric": "joint.macro_f1", "direction": "maximize"},
            *({"metric": f"tasks.{task}.ece", "direction": "minimize"} for task in tasks),
        ][:num_objectives],
        "sampler": "tpe",
        "pruner": "median",
        "seed": 0,
        "tasks": list(tasks),
        "params": list(params),
        "counts": counts | {"retried": 2, "running": 0, "waiting": 0},
        "seconds": float(sum(trial["seconds"] for trial in trials)),
        "epochs": sum(len(trial["history"]) for trial in trials),
        "epochs_full": epochs * num_trials,
        "best": ranked[0]["number"] if ranked and num_objectives == 1 else None,
        "front": sorted(front),
        "trials": trials,
        "importances": {param["name"]: share for param, share in zip(params, shares, strict=False)} if ranked else None,
        "importances_missing": None if ranked else "0 finished trials are too few; 8 are needed",
        "confirmation": make_confirmation(rng, ranked, tasks) if confirmed and len(ranked) > 3 else None,
        "sentences": [
            f"{len(finished)} of {num_trials} trials finished.",
            "The best, trial 17, reached a joint macro-F1 of .512, .041 above the base.",
            "On fresh seeds and folds it beats the base beyond noise.",
        ],
    }


def make_confirmation(rng, ranked, tasks):
    rows = []
    base = next(trial for trial in ranked if trial["number"] == 0)
    for trial in [base, *[trial for trial in ranked if trial is not base][:3]]:
        runs = (trial["values"][0] - 0.03 + rng.normal(0, 0.015, 15)).tolist()
        confirmed, pooled = float(np.mean(runs)), float(np.mean(runs)) + 0.004
        gain = pooled - rows[0]["pooled"] if rows else 0
        rows.append(
            {
                "trial": trial["number"],
                "base": trial is base,
                "study_score": trial["values"][0],
                "confirmed": confirmed,
                "runs": runs,
                "luck": trial["values"][0] - confirmed,
                "pooled": pooled,
                "pooled_ci": [pooled - 0.031, pooled + 0.028],
                "tasks": {
                    task: {"value": trial["scores"]["tasks"][task], "ci": [0.4, 0.6]}
                    for place, task in enumerate(tasks)
                },
                "difference": None
                if trial is base
                else {"value": gain, "low": gain - 0.02, "high": gain + 0.02, "beyond_noise": gain > 0.02},
            }
        )
    winner = rows[1]["trial"]
    return {
        "num_seeds": 3,
        "num_folds": 5,
        "num_groups": 141,
        "num_images": 987,
        "level": 0.983,
        "winner": winner,
        "sentence": f"Trial {winner} beats the base by .024 (98.3% .004 to .044): beyond noise.",
        "luck_sentence": "Of its gain of .051 in the study, .027 was luck.",
        "rows": rows,
    }
