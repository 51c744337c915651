"""Executors: where the workers of a study and of a bake-off run. They are started by engines that exist."""

from multitask.executors.base import EXECUTORS, AnyExecutor, Executor, ExecutorSettings, StartedWorker
from multitask.executors.processes import ProcessesSettings
from multitask.executors.ray import RaySettings
from multitask.executors.submitit import SubmititSettings

EXECUTORS.register(ProcessesSettings, SubmititSettings, RaySettings)

__all__ = ["EXECUTORS", "AnyExecutor", "Executor", "ExecutorSettings", "ProcessesSettings", "StartedWorker"]
