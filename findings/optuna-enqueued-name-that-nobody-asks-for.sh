#!/usr/bin/env bash
# Optuna 5.0.0: a misspelt name in enqueue_trial is dropped without a word.
#
# A value outside the range of its parameter is warned of (and used as it is). A parameter that the objective never
# asks for is not: the trial runs with a sampled value in place of the one that was meant, and nothing in
# trial.params or in the warnings tells it. Only the user of the study who compares system attributes could see it, so
# a "known good configuration" put first in the queue may be another configuration altogether.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q optuna==5.0.0
environment/bin/python - <<'PYTHON'
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
study.enqueue_trial({"learning_rate": 0.001, "weight_decay": 0.5})  # the objective says lr
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1) + trial.suggest_float("weight_decay", 0, 1), n_trials=1)
trial = study.trials[0]
print(trial.params, [str(item.message) for item in heard])
assert set(trial.params) == {"lr", "weight_decay"}
assert trial.params["weight_decay"] == 0.5 and trial.params["lr"] > 0.01  # drawn, not .001
assert not [item for item in heard if "learning_rate" in str(item.message)]
PYTHON
