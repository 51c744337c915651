"""The network: a timm backbone and one head per task."""
