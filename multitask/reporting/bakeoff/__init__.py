"""A bake-off on the console and as a page."""
