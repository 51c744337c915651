"""A config for a set of images that nobody has described yet: looked at, proposed, tried."""

from multitask.init.layouts import LAYOUTS, Layout, Observed, Options
from multitask.init.proposal import Proposal, propose

__all__ = ["LAYOUTS", "Layout", "Observed", "Options", "Proposal", "propose"]
