"""A local page that answers the images that are dropped on it."""
