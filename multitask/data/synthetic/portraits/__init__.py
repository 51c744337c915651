"""A set in the competition's layout made from anyone's portraits, with masks from templates warped onto the faces."""

from multitask.data.synthetic.portraits.dataset import PortraitSet, Request, make_set

__all__ = ["PortraitSet", "Request", "make_set"]
