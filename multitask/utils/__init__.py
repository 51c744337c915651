"""Files, arrays, seeds and spellings: what knows nothing of images or labels."""
