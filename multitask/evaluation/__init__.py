"""From predictions to figures: decode rules, metrics, intervals, attribution."""
