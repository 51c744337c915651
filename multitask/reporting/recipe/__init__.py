"""A recipe on the console and as a page."""
