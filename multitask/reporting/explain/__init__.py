"""Explanations of predictions as a page."""
