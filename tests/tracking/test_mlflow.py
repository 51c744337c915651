"""A real server, asked by MLflow's own client."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from multitask.tracking.mlflow import MLflowSettings
from multitask.tracking.tracker import TrackedRun


def test_a_run_is_there_with_parameters_metrics_and_files_and_goes_on_when_resumed(
    mlflow_uri: str, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    settings = MLflowSettings(uri=mlflow_uri, experiment="masks")
    (tmp_path / "report.json").write_text("{}")
    params = {"labels.tasks.ä": [1, 2], **{f"key{number}": number for number in range(150)}}
    first = settings.open(TrackedRun(tmp_path, params))
    first.epoch(1, {"val/joint/macro_f1": 0.25})
    first.close(failed=True)
    second = settings.open(TrackedRun(tmp_path, params, num_epochs=1, key=first.key))
    second.epoch(2, {"val/joint/macro_f1": 0.5})
    second.report({"report/joint/macro_f1": 0.75}, [tmp_path / "report.json"])
    second.close(failed=False)
    settings.open(TrackedRun(tmp_path, params, num_epochs=2, key=first.key)).report({"report/joint/macro_f1": 0.75}, [])

    client = MlflowClient(mlflow_uri)
    experiment = client.get_experiment_by_name("masks")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "RUNNING"  # reported anew, and not yet ended
    assert run.data.tags["multitask.folder"] == str(tmp_path)
    assert len(run.data.params) == 151
    assert run.data.params["labels.tasks._"] == "[1, 2]"
    history = client.get_metric_history(run.info.run_id, "val/joint/macro_f1")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.25), (2, 0.5)]
    assert run.data.metrics["report/joint/macro_f1"] == 0.75
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["report.json"]


def test_a_server_that_is_down_is_waited_for_seconds_and_not_minutes(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Exception, match="Max retries exceeded"):
        MLflowSettings(uri="http://127.0.0.1:9").open(TrackedRun(tmp_path, {}))
    assert time.monotonic() - began < 60
