#!/usr/bin/env bash
# Optuna 5.0.0: direction="maximize" is ignored, without a word, where load_if_exists=True finds the study.
#
# A search for macro-F1 is begun without a direction, which means minimize. The mistake is seen, direction="maximize" is added
# to create_study, and the script runs again on the same storage: it goes on minimizing. Every trial from then on looks for the
# worst score, and best_trial, best_params and best_value are the worst configuration of all. Another number of directions is
# ignored as well. Seen here: asked to maximize, the study answers MINIMIZE, and its best_value is .515 where the values go from
# .515 to .993; with directions=["maximize", "maximize"] it still has one.
# Compare study.directions with what was asked for before the first trial.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q optuna==5.0.0
environment/bin/python - <<'PYTHON'
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
stored = {"study_name": "mask", "storage": "sqlite:///study.db", "load_if_exists": True}


def score(trial):
    return 1 - (trial.suggest_float("x", 0, 1) - 0.3) ** 2


with warnings.catch_warnings():
    warnings.simplefilter("error")
    optuna.create_study(**stored, sampler=optuna.samplers.TPESampler(seed=0)).optimize(score, n_trials=12)
    study = optuna.create_study(**stored, direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(score, n_trials=12)
    two = optuna.create_study(**stored, directions=["maximize", "maximize"])
values = [trial.value for trial in study.trials]
print(study.direction.name, f"best_value {study.best_value:.3f} of {min(values):.3f} to {max(values):.3f}", len(two.directions))
assert study.direction.name == "MINIMIZE" and len(values) == 24
assert study.best_value == min(values) < max(values)
assert len(two.directions) == 1
PYTHON
