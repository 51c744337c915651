"""MLflow: a run of an experiment on a tracking server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from multitask.tracking.settings import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker
from multitask.utils.files import to_json

_MAX_PARAMS, _MAX_METRICS, _MAX_TEXT = 100, 1000, 500
"""Of a request, and the length of a parameter: as every server takes them."""

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow reads at each request: by itself it asks a server that is down for minutes, and prints addresses."""


@contextmanager
def _asking() -> Iterator[None]:
    """Requests are made as ``_ENVIRONMENT`` says, unless the user has said otherwise."""
    ours = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


class MLflowTracker(Tracker):
    """Makes the run, or goes on with it; parameters are the config's keys."""

    def __init__(self, run: TrackedRun, uri: str | None, experiment: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        self._epoch = run.num_epochs
        with _asking():
            self._client = MlflowClient(tracking_uri=uri)
            if run.key is not None:
                self.key = run.key
                self._client.update_run(self.key, status="RUNNING")
                return
            found = self._client.get_experiment_by_name(experiment)
            number = self._client.create_experiment(experiment) if found is None else found.experiment_id
            self.key = self._client.create_run(number, run_name=run.name).info.run_id
            params = [Param(_allowed(key), _text(value)) for key, value in run.settings.items()]
            tags = [RunTag("multitask.folder", str(run.folder.resolve()))]
            for start in range(0, len(params), _MAX_PARAMS):
                self._client.log_batch(self.key, params=params[start : start + _MAX_PARAMS], tags=tags)

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Logs metrics."""
        self._epoch = epoch
        self._log(values)

    def report(self, values: Mapping[str, float], files: Sequence[Path]) -> None:
        """Logs metrics, and the files as artifacts."""
        self._log(values)
        with _asking():
            for path in files:
                self._client.log_artifact(self.key, str(path))

    def close(self, *, failed: bool) -> None:
        """Ends the run."""
        with _asking():
            self._client.set_terminated(self.key, "FAILED" if failed else "FINISHED")

    def _log(self, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        metrics = [Metric(_allowed(name), value, now, self._epoch) for name, value in values.items()]
        with _asking():
            for start in range(0, len(metrics), _MAX_METRICS):
                self._client.log_batch(self.key, metrics=metrics[start : start + _MAX_METRICS])


class MLflowSettings(TrackerSettings):
    """A run on an MLflow server, which goes on with it when it is resumed."""

    name: Literal["mlflow"] = "mlflow"
    uri: str | None = None
    """The server's address, or a database; None: what ``MLFLOW_TRACKING_URI`` says, or MLflow's own default."""
    experiment: str = "multitask"
    """Its runs stand together; made where there is none."""
    extra: ClassVar[str] = "mlflow"
    modules: ClassVar[tuple[str, ...]] = ("mlflow",)

    def open(self, run: TrackedRun) -> Tracker:
        """A new run of the experiment, or the one that the run began with."""
        return MLflowTracker(run, self.uri, self.experiment)


def _allowed(name: str) -> str:
    """A name of the characters that every server takes."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)


def _text(value: object) -> str:
    return (value if isinstance(value, str) else to_json(value, indent=None).strip())[:_MAX_TEXT]
