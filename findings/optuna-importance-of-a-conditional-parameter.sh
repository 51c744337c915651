#!/usr/bin/env bash
# Optuna 5.0.0: get_param_importances, called plainly, ranks a parameter that only some trials have.
#
# Its default evaluator is PED-ANOVA now. A conditional parameter (a focal loss's gamma, which exists where the loss is
# focal) takes part in that ranking with the trials that have it; the fANOVA evaluator leaves it out. Sixty random
# trials of one study, seen here:
#   plainly  gamma .935, lr .044, loss .021        fANOVA  loss .680, lr .320, and no gamma
# So the choice of the loss is the most important setting by one evaluator and the least by the other, and a figure
# without the evaluator's name and without the number of trials behind it says nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q optuna==5.0.0 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    loss = trial.suggest_categorical("loss", ["cross_entropy", "focal"])
    rate = trial.suggest_float("lr", 0, 1)
    return rate / 2 + (trial.suggest_float("gamma", 0, 1) if loss == "focal" else 0)


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(objective, n_trials=60)
plainly = get_param_importances(study)
fanova = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
print({name: round(float(value), 3) for name, value in plainly.items()}, {n: round(float(v), 3) for n, v in fanova.items()})
assert set(plainly) == {"loss", "lr", "gamma"} and set(fanova) == {"loss", "lr"}
assert max(plainly, key=plainly.get) == "gamma" and min(plainly, key=plainly.get) == "loss"
assert max(fanova, key=fanova.get) == "loss"
PYTHON
