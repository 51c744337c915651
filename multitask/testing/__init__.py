"""Contract suites, one call a table, that can be run over a row of one's own.

Each is imported when it is first asked for, and what it needs with it.

>>> from multitask.losses import CrossEntropySettings
>>> from multitask.testing import check_loss
>>> check_loss(CrossEntropySettings(smoothing=0.1))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from multitask.settings.extensions import temporary_extensions

if TYPE_CHECKING:
    from multitask.testing.balancers import check_balancer
    from multitask.testing.class_weights import check_class_weights
    from multitask.testing.crops import check_crop
    from multitask.testing.decode_rules import check_decode_rule
    from multitask.testing.engines import check_engine
    from multitask.testing.entries import check_entry
    from multitask.testing.example_run import tiny_run
    from multitask.testing.executors import check_executor
    from multitask.testing.heads import check_head
    from multitask.testing.joint_terms import check_joint_term
    from multitask.testing.losses import check_loss
    from multitask.testing.pruners import check_pruner
    from multitask.testing.samplers import check_sampler
    from multitask.testing.schedules import check_schedule
    from multitask.testing.sharings import check_sharing
    from multitask.testing.sources import check_source
    from multitask.testing.stages import check_stage
    from multitask.testing.study_samplers import check_study_sampler
    from multitask.testing.task_kinds import check_task_kind
    from multitask.testing.trackers import check_tracker

_HOMES = {
    "check_balancer": "balancers",
    "check_class_weights": "class_weights",
    "check_crop": "crops",
    "check_decode_rule": "decode_rules",
    "check_entry": "entries",
    "check_engine": "engines",
    "check_executor": "executors",
    "check_head": "heads",
    "check_joint_term": "joint_terms",
    "check_loss": "losses",
    "check_pruner": "pruners",
    "check_sampler": "samplers",
    "check_schedule": "schedules",
    "check_sharing": "sharings",
    "check_source": "sources",
    "check_stage": "stages",
    "check_study_sampler": "study_samplers",
    "check_task_kind": "task_kinds",
    "check_tracker": "trackers",
    "tiny_run": "example_run",
}
"""Suite -> its module."""

__all__ = [
    "check_balancer",
    "check_class_weights",
    "check_crop",
    "check_decode_rule",
    "check_engine",
    "check_entry",
    "check_executor",
    "check_head",
    "check_joint_term",
    "check_loss",
    "check_pruner",
    "check_sampler",
    "check_schedule",
    "check_sharing",
    "check_source",
    "check_stage",
    "check_study_sampler",
    "check_task_kind",
    "check_tracker",
    "temporary_extensions",
    "tiny_run",
]


def __getattr__(name: str) -> Any:
    """A suite, imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
