"""From files to batches: sources, splits, pictures, augmentation, loading."""
