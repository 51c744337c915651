"""Files, arrays, seeds and spellings, independent of images and labels."""
