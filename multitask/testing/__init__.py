"""Contract suites, one call a table, that can be run over a row of one's own.

>>> from multitask.losses import CrossEntropySettings
>>> check_loss(CrossEntropySettings(smoothing=0.1))
"""

from multitask.settings.extensions import temporary_extensions
from multitask.testing.balancers import check_balancer
from multitask.testing.crops import check_crop
from multitask.testing.decode_rules import check_decode_rule
from multitask.testing.heads import check_head
from multitask.testing.joint_terms import check_joint_term
from multitask.testing.losses import check_loss
from multitask.testing.samplers import check_sampler
from multitask.testing.sources import check_source

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
]
