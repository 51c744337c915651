"""Trackers: what runs tell of themselves to other programs, and the table of them."""

from multitask.tracking.csv_file import CsvSettings
from multitask.tracking.mlflow import MLflowSettings
from multitask.tracking.settings import TRACKERS, AnyTracker, TrackerSettings
from multitask.tracking.tensorboard import TensorBoardSettings
from multitask.tracking.wandb import WandbSettings

TRACKERS.register(CsvSettings, TensorBoardSettings, MLflowSettings, WandbSettings)

__all__ = ["TRACKERS", "AnyTracker", "TrackerSettings"]
