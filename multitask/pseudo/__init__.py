"""Pseudo-labels: unlabelled images get a label from the heads that are sure, and train beside the labelled ones."""
