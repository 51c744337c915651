"""A config for a set of images that nobody has described yet: looked at, proposed, tried."""

from multitask.init.backbone import OwnBackbone
from multitask.init.draft import Proposal
from multitask.init.layouts import LAYOUTS, Layout, Observed, Options
from multitask.init.proposal import propose

__all__ = ["LAYOUTS", "Layout", "Observed", "Options", "OwnBackbone", "Proposal", "propose"]
