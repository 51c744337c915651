"""An audit on the console and as a page."""
