"""Time to a score: what of it is shown and kept."""
