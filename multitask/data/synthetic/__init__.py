"""Synthetic sets in the competition's layout: invented people painted, or portraits with masks (``portraits``)."""

from multitask.data.synthetic.dataset import DrawnSet, draw_set

__all__ = ["DrawnSet", "draw_set"]
