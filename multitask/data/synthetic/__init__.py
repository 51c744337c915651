"""A synthetic set in the competition's layout: invented people, painted and laid out on disk."""

from multitask.data.synthetic.dataset import DrawnSet, draw_set

__all__ = ["DrawnSet", "draw_set"]
