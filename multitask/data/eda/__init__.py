"""Inspection of a data set before training: its labels, its images, and duplicates across groups."""

from multitask.data.eda.inspection import Inspection, inspect

__all__ = ["Inspection", "inspect"]
