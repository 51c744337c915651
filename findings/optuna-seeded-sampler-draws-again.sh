#!/usr/bin/env bash
# Optuna 5.0.0: a study that is loaded again with a seeded sampler draws its first trials a second time.
#
# The sampler's random state is not stored with the study. Whoever writes sampler=TPESampler(seed=1) for
# reproducibility and goes on with the study after an interrupt computes the start-up trials again: of eight trials in
# two sittings four are copies, bought at full price, and the model of the space counts each place twice. A seed that
# is derived from the number of trials there are already avoids it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q optuna==5.0.0
environment/bin/python - <<'PYTHON'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
for _ in range(2):  # two sittings
    study = optuna.create_study(
        study_name="s", storage="sqlite:///s.db", load_if_exists=True, sampler=optuna.samplers.TPESampler(seed=1)
    )
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
drawn = [trial.params["x"] for trial in study.trials]
print([round(value, 3) for value in drawn])  # seen: .417 .72 .0 .302 .417 .72 .0 .302
assert len(drawn) == 8 and drawn[:4] == drawn[4:]
PYTHON
