"""A run on the console and as a page."""
