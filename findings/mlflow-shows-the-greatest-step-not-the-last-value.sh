#!/usr/bin/env bash
# mlflow 3.17.2: the value of a metric that a run is listed and sorted by is that of its greatest step, not the last logged one.
#
# A training logs f1 with step=epoch, then loads its best weights and logs f1 once more, without a step, as the score of the
# run. Without a step means step 0: the value goes to the front of the curve, and search_runs, get_run and whatever sorts by
# them go on with the last epoch's. Likewise, a run that is resumed from an earlier epoch and ends sooner keeps the value of the
# epochs that were thrown away. Epochs .5, .7, .9, .6 of each run, seen here:
#                                                      run.data.metrics    search_runs    the curve
#   then .88 without a step                                  .6               .6          0: .5, 0: .88, 1: .7, 2: .9, 3: .6
#   then resumed after epoch 1, .8 at epoch 2                .6               .6          2: .9, 2: .8
#   then .88 as another metric, "best_f1"                    .88              .88
# A search over such runs picks by epochs that nobody kept. No error and no warning. Give the final score a name of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import mlflow

warnings.simplefilter("error", UserWarning)
mlflow.set_tracking_uri("sqlite:///runs.db")
mlflow.set_experiment("search")


def logged(*then):
    """The metrics that a run has after four epochs and what is logged then, and its curve."""
    with mlflow.start_run() as run:
        for epoch, value in enumerate((0.5, 0.7, 0.9, 0.6)):
            mlflow.log_metric("f1", value, step=epoch)
        for name, value, *step in then:
            mlflow.log_metric(name, value, *step)
    client = mlflow.MlflowClient()
    curve = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "f1")]
    table = mlflow.search_runs(filter_string=f"attributes.run_id = '{run.info.run_id}'")
    metrics = client.get_run(run.info.run_id).data.metrics
    assert all(table[f"metrics.{name}"].tolist() == [value] for name, value in metrics.items())
    return metrics, sorted(curve)


found = {
    "no step": logged(("f1", 0.88)),
    "resumed": logged(("f1", 0.8, 2)),
    "another name": logged(("best_f1", 0.88)),
}
print(found)
assert found["no step"] == ({"f1": 0.6}, [(0, 0.5), (0, 0.88), (1, 0.7), (2, 0.9), (3, 0.6)])
assert found["resumed"] == ({"f1": 0.6}, [(0, 0.5), (1, 0.7), (2, 0.8), (2, 0.9), (3, 0.6)])
assert found["another name"][0] == {"f1": 0.6, "best_f1": 0.88}
PYTHON
