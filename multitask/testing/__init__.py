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
    from multitask.testing.crops import check_crop
    from multitask.testing.decode_rules import check_decode_rule
    from multitask.testing.example_run import tiny_run
    from multitask.testing.heads import check_head
    from multitask.testing.joint_terms import check_joint_term
    from multitask.testing.losses import check_loss
    from multitask.testing.samplers import check_sampler
    from multitask.testing.sources import check_source

_HOMES = {
    "check_balancer": "balancers",
    "check_crop": "crops",
    "check_decode_rule": "decode_rules",
    "check_head": "heads",
    "check_joint_term": "joint_terms",
    "check_loss": "losses",
    "check_sampler": "samplers",
    "check_source": "sources",
    "tiny_run": "example_run",
}
"""Suite -> its module."""

__all__ = [
    "check_balancer",
    "check_crop",
    "check_decode_rule",
    "check_head",
    "check_joint_term",
    "check_loss",
    "check_sampler",
    "check_source",
    "temporary_extensions",
    "tiny_run",
]


def __getattr__(name: str) -> Any:
    """A suite, imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
