"""Speed on the machine at hand, as ratios measured side by side: what a machine is worth cancels out."""
