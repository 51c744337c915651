"""A data set before anything is learned of it: what is in it, what its pictures look like, and what is in it twice."""

from multitask.data.eda.inspection import Inspection, inspect

__all__ = ["Inspection", "inspect"]
