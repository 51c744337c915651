"""A study on the console and as a page."""
